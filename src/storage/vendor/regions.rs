//! Region numbers of vendor 1 (facts/agora.md section 2.3).

/// The last number of [`amazon`]'s table.
pub(super) const LAST: usize = AMAZON.len() - 1;

const AMAZON: [&str; 26] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-central-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "sa-east-1",
    "ca-central-1",
    "ap-south-1",
    "cn-north-1",
    "cn-northwest-1",
    "us-gov-west-1",
    "af-south-1",
    "ap-east-1",
    "ap-northeast-3",
    "eu-north-1",
    "me-south-1",
    "us-gov-east-1",
    "ap-southeast-3",
    "eu-south-1",
];

/// The name of an Amazon region.
pub(super) fn amazon(number: i64) -> Option<&'static str> {
    usize::try_from(number).ok().and_then(|number| AMAZON.get(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_vendors_numbers() {
        for (number, name) in
            [(0, "us-east-1"), (14, "ap-south-1"), (18, "af-south-1"), (23, "us-gov-east-1"), (25, "eu-south-1")]
        {
            assert_eq!(amazon(number), Some(name));
        }
        assert_eq!(amazon(26), None);
    }
}
