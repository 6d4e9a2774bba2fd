//! Secrets at rest: XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), whose 24-byte nonce is wide enough to be drawn at random.
//!
//! A sealed text is one version byte (1), the nonce, and the ciphertext with its 16-byte tag. The version byte is
//! authenticated too.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::error_class::{Classify, ErrorClass};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// Seals and opens secrets with one key. Shows nothing of it in `Debug` and overwrites it when dropped.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

/// Why there is no key, or a sealed text does not open.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The configured key is not what it must be.
    #[error("the sealing key must be 64 hexadecimal digits (32 bytes)")]
    Key,
    /// The key file can't be read or made.
    #[error("the key file {path} can't be used: {source}; check that its directory exists and is writable")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key file holds something else.
    #[error("the key file {path} does not hold 64 hexadecimal digits (32 bytes); put it back as it was")]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// There is no key file, and there are secrets that were sealed with it.
    #[error(
        "the key file {path} is missing, and the database holds secrets that it sealed (of {sealed} unfinished recordings); put the file, \
         or the server.seal_key that there was, back. If it is lost for good, they can't be finished: give a server.seal_key of your own, \
         64 hexadecimal digits, to start without them"
    )]
    Missing {
        /// Which file.
        path: PathBuf,
        /// How many recordings need it.
        sealed: u64,
    },
    /// Others may read the key file.
    #[error(
        "the key file {path} may be read by others; run chmod 600 on it, and change the key if somebody did read it"
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// The text was sealed with another key, or changed.
    #[error(
        "a sealed secret does not open: it was sealed with another key, or changed since; start the worker with the \
         server.seal_key, or the seal.key in data_dir, that it had before"
    )]
    Open,
}

impl Classify for SealError {
    fn error_class(&self) -> ErrorClass {
        ErrorClass::ours(
            match self {
                Self::Key => "seal_key_invalid",
                Self::File { .. } => "seal_key_file",
                Self::Malformed { .. } => "seal_key_malformed",
                Self::Missing { .. } => "seal_key_missing",
                Self::Exposed { .. } => "seal_key_exposed",
                Self::Open => "seal_does_not_open",
            },
            false,
        )
    }
}

impl Sealer {
    /// With a key of 64 hexadecimal digits.
    pub fn from_hex(key: &SecretString) -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(key.expose_secret().trim(), bytes.as_mut_slice()).map_err(|_| SealError::Key)?;
        Ok(Self { cipher: XChaCha20Poly1305::new(Key::from_slice(bytes.as_slice())) })
    }

    /// With the key in a file as [`Sealer::from_file`] has it, of a store that holds `sealed` secrets: where it holds some, the file is not
    /// made anew.
    pub fn from_file_of(path: &Path, sealed: u64) -> Result<Self, SealError> {
        if sealed > 0 && matches!(path.try_exists(), Ok(false)) {
            return Err(SealError::Missing { path: path.to_owned(), sealed });
        }
        Self::from_file(path)
    }

    /// With the key in a file of 64 hexadecimal digits that only its owner may read (mode 0600). A missing file is made with
    /// a random key; of several processes that try at once one makes it and the others read it.
    pub fn from_file(path: &Path) -> Result<Self, SealError> {
        let refused = |source| SealError::File { path: path.to_owned(), source };
        match fs::OpenOptions::new().read(true).open(path) {
            Ok(file) => Self::read(file, path),
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => {
                make_key_file(path).map_err(refused)?;
                Self::read(fs::File::open(path).map_err(refused)?, path)
            }
            Err(source) => Err(refused(source)),
        }
    }

    /// Seals a secret; twice the same secret gives two different texts.
    pub fn seal(&self, secret: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: secret, aad: &[VERSION] };
        let ciphertext =
            self.cipher.encrypt(XNonce::from_slice(&nonce), payload).expect("the cipher takes any text below 256 GiB");
        [&[VERSION], nonce.as_slice(), &ciphertext].concat()
    }

    /// Opens what [`Sealer::seal`] sealed with the same key. The result is overwritten when dropped.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (version, rest) = sealed.split_first().ok_or(SealError::Open)?;
        let (nonce, ciphertext) = rest.split_at_checked(NONCE_BYTES).ok_or(SealError::Open)?;
        if *version != VERSION {
            return Err(SealError::Open);
        }
        let payload = Payload { msg: ciphertext, aad: &[VERSION] };
        let secret = self.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealError::Open)?;
        Ok(Zeroizing::new(secret))
    }

    fn read(file: fs::File, path: &Path) -> Result<Self, SealError> {
        let refused = |source| SealError::File { path: path.to_owned(), source };
        if file.metadata().map_err(refused)?.permissions().mode() & 0o077 != 0 {
            return Err(SealError::Exposed { path: path.to_owned() });
        }
        let mut digits = String::new();
        file.take(4 * KEY_BYTES as u64).read_to_string(&mut digits).map_err(refused)?;
        Self::from_hex(&SecretString::from(digits)).map_err(|_| SealError::Malformed { path: path.to_owned() })
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

/// Writes a random key beside the path and links it there, so that nobody ever reads half a key.
fn make_key_file(path: &Path) -> io::Result<()> {
    let key = Zeroizing::new(rand::random::<[u8; KEY_BYTES]>());
    let digits: Zeroizing<String> = Zeroizing::new(hex::encode(key.as_slice()));
    let draft = path.with_extension(format!("{:016x}.draft", rand::random::<u64>()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written = file.write_all(digits.as_bytes()).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::from_hex(&SecretString::from("0f".repeat(32))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_and_never_shows_the_secret() {
        let secret = b"wJalrXUtnFEMI/K7MDENG";
        let sealed = sealer().seal(secret);
        assert_eq!(sealer().open(&sealed).unwrap().as_slice(), secret);
        assert!(!sealed.windows(4).any(|part| secret.windows(4).any(|other| other == part)));
        assert_ne!(sealed, sealer().seal(secret), "each text has its own nonce");
        assert_eq!(format!("{:?}", sealer()), "Sealer");
    }

    #[test]
    fn a_changed_byte_or_another_key_does_not_open() {
        let sealed = sealer().seal(b"secret");
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(sealer().open(&changed).is_err(), "byte {place}");
        }
        assert!(Sealer::from_hex(&SecretString::from("10".repeat(32))).unwrap().open(&sealed).is_err());
        assert!(sealer().open(&[]).is_err());
        assert!(sealer().open(&sealed[..20]).is_err());
    }

    #[test]
    fn a_key_must_be_32_hex_bytes() {
        for key in ["", "0f", &"0g".repeat(32), &"0f".repeat(33), &"é".repeat(32)] {
            assert!(matches!(Sealer::from_hex(&SecretString::from(key)), Err(SealError::Key)), "{key}");
        }
    }

    #[test]
    fn a_key_file_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seal.key");
        let sealed = Sealer::from_file(&path).unwrap().seal(b"secret");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Sealer::from_file(&path).unwrap().open(&sealed).unwrap().as_slice(), b"secret");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Sealer::from_file(&path), Err(SealError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "0f").unwrap();
        let said = Sealer::from_file(&path).unwrap_err().to_string();
        assert!(said.contains("seal.key does not hold"), "{said}");
    }
}
