//! What a member's client runs on, as the vendor counts it (docs/protocol/agora.md section 6).

/// A platform.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// Any other.
    #[default]
    Other,
    /// Android.
    Android,
    /// iOS.
    Ios,
    /// Windows.
    Windows,
    /// Linux.
    Linux,
    /// A browser, on whatever it runs.
    Web,
    /// macOS.
    Mac,
}

impl Platform {
    /// The vendor's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Other => 0,
            Self::Android => 1,
            Self::Ios => 2,
            Self::Windows => 5,
            Self::Linux => 6,
            Self::Web => 7,
            Self::Mac => 8,
        }
    }

    /// From what SDKs say in their query: `sdk` and `os`, in the spelling of each.
    pub(super) fn new(sdk: Option<&str>, os: Option<&str>) -> Self {
        if sdk == Some("js") {
            return Self::Web;
        }
        let os = os.unwrap_or_default().to_ascii_lowercase();
        let names = [
            ("android", Self::Android),
            ("ios", Self::Ios),
            ("ipados", Self::Ios),
            ("win", Self::Windows),
            ("linux", Self::Linux),
            ("mac", Self::Mac),
        ];
        names.into_iter().find(|(name, _)| os.starts_with(name)).map(|(_, platform)| platform).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sdks_spelling_is_read() {
        for (sdk, os, number) in [
            ("js", "macOS", 7),
            ("android", "Android", 1),
            ("swift", "iOS", 2),
            ("swift", "macOS", 8),
            ("python", "linux", 6),
            ("unity", "Windows 11", 5),
            ("rust", "", 0),
        ] {
            assert_eq!(Platform::new(Some(sdk), Some(os)).number(), number, "{sdk} {os}");
        }
        assert_eq!(Platform::new(None, None), Platform::Other);
    }
}
