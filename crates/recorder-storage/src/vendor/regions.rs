//! The vendors' region numbers (docs/protocol/agora.md section 2.3), and where the S3 endpoint of each region is.

/// A store that a vendor's number and a region's number name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    /// The host of its S3 endpoint; none for Amazon, whose hosts follow from the region.
    pub(super) host: Option<Host>,
    /// The region to sign for.
    pub(super) name: &'static str,
}

/// A host name around a region's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Host {
    before: &'static str,
    region: &'static str,
    after: &'static str,
}

impl Host {
    /// The URL of the store.
    pub(super) fn url(self) -> String {
        format!("https://{}{}{}", self.before, self.region, self.after)
    }
}

/// The regions of one vendor.
struct Vendor {
    number: i64,
    /// The number of the first region.
    first: i64,
    regions: &'static [&'static str],
    /// What stands before and after the region in the host's name.
    host: Option<(&'static str, &'static str)>,
}

/// The vendors whose stores speak the S3 protocol.
const VENDORS: [Vendor; 6] = [
    Vendor { number: 1, first: 0, regions: &AMAZON, host: None },
    Vendor { number: 2, first: 0, regions: &ALIBABA, host: Some(("s3.oss-", ".aliyuncs.com")) },
    Vendor { number: 3, first: 0, regions: &TENCENT, host: Some(("cos.", ".myqcloud.com")) },
    // Every location of Google's has the same host.
    Vendor { number: 6, first: 0, regions: &["auto"], host: Some(("storage.googleapis.com", "")) },
    Vendor { number: 7, first: 0, regions: &HUAWEI, host: Some(("obs.", ".myhuaweicloud.com")) },
    Vendor { number: 8, first: 1, regions: &BAIDU, host: Some(("s3.", ".bcebos.com")) },
];

/// Which region numbers a vendor has; none for one that is not in the table.
pub(super) fn numbers(vendor: i64) -> Option<(i64, i64)> {
    let vendor = VENDORS.iter().find(|known| known.number == vendor)?;
    Some((vendor.first, vendor.first + vendor.regions.len() as i64 - 1))
}

/// The region of this number.
pub(super) fn region(vendor: i64, number: i64) -> Option<Region> {
    let vendor = VENDORS.iter().find(|known| known.number == vendor)?;
    let index = usize::try_from(number.checked_sub(vendor.first)?).ok()?;
    let name = *vendor.regions.get(index)?;
    let host = vendor.host.map(|(before, after)| {
        let region = if after.is_empty() { "" } else { name };
        Host { before, region, after }
    });
    Some(Region { host, name })
}

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

const ALIBABA: [&str; 28] = [
    "cn-hangzhou",
    "cn-shanghai",
    "cn-qingdao",
    "cn-beijing",
    "cn-zhangjiakou",
    "cn-huhehaote",
    "cn-shenzhen",
    "cn-hongkong",
    "us-west-1",
    "us-east-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-northeast-1",
    "ap-south-1",
    "eu-central-1",
    "eu-west-1",
    "eu-east-1",
    "ap-southeast-6",
    "cn-heyuan",
    "cn-guangzhou",
    "cn-chengdu",
    "cn-nanjing",
    "cn-fuzhou",
    "cn-wulanchabu",
    // The vendor writes CN_Northeast_2 and CN_Southeast_7; the store has these regions (Seoul, Bangkok).
    "ap-northeast-2",
    "ap-southeast-7",
];

const TENCENT: [&str; 20] = [
    "ap-beijing-1",
    "ap-beijing",
    "ap-shanghai",
    "ap-guangzhou",
    "ap-chengdu",
    "ap-chongqing",
    "ap-shenzhen-fsi",
    "ap-shanghai-fsi",
    "ap-beijing-fsi",
    "ap-hongkong",
    "ap-singapore",
    "ap-mumbai",
    "ap-seoul",
    "ap-bangkok",
    "ap-tokyo",
    "na-siliconvalley",
    "na-ashburn",
    "na-toronto",
    "eu-frankfurt",
    "eu-moscow",
];

const HUAWEI: [&str; 16] = [
    "cn-north-1",
    "cn-north-4",
    "cn-east-2",
    "cn-east-3",
    "cn-south-1",
    "cn-southwest-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "af-south-1",
    "sa-argentina-1",
    "sa-peru-1",
    "na-mexico-1",
    "sa-brazil-1",
    "la-south-2",
    "sa-chile-1",
];

/// Baoding, Suzhou, Guangzhou, Hong Kong, Singapore, Wuhan, Shanghai, from 1.
const BAIDU: [&str; 7] = ["bd", "su", "gz", "hkg", "sin", "fwh", "fsh"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_the_vendors_numbers() {
        for (vendor, number, name, url) in [
            (1, 0, "us-east-1", None),
            (1, 25, "eu-south-1", None),
            (2, 0, "cn-hangzhou", Some("https://s3.oss-cn-hangzhou.aliyuncs.com")),
            (2, 18, "eu-east-1", Some("https://s3.oss-eu-east-1.aliyuncs.com")),
            (2, 27, "ap-southeast-7", Some("https://s3.oss-ap-southeast-7.aliyuncs.com")),
            (3, 3, "ap-guangzhou", Some("https://cos.ap-guangzhou.myqcloud.com")),
            (3, 19, "eu-moscow", Some("https://cos.eu-moscow.myqcloud.com")),
            (6, 0, "auto", Some("https://storage.googleapis.com")),
            (7, 1, "cn-north-4", Some("https://obs.cn-north-4.myhuaweicloud.com")),
            (7, 15, "sa-chile-1", Some("https://obs.sa-chile-1.myhuaweicloud.com")),
            (8, 1, "bd", Some("https://s3.bd.bcebos.com")),
            (8, 7, "fsh", Some("https://s3.fsh.bcebos.com")),
        ] {
            let region = region(vendor, number).unwrap();
            assert_eq!((region.name, region.host.map(Host::url).as_deref()), (name, url));
        }
        for (vendor, number) in [(1, 26), (1, -1), (2, 28), (3, 20), (6, 1), (7, 16), (8, 0), (8, 8), (5, 0), (11, 0)] {
            assert_eq!(region(vendor, number), None, "{vendor} {number}");
        }
        assert_eq!((numbers(8), numbers(2), numbers(5)), (Some((1, 7)), Some((0, 27)), None));
        assert_eq!(region(1, i64::MIN), None);
    }
}
