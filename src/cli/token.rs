//! `cloud-recorder token`: mints a channel token, or the hash of a REST secret, and prints nothing else.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Subcommand, ValueEnum};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::output;
use crate::channel_server::token::{Mint007, MintLiveKit, Privileges, Role, mint_007, mint_livekit};
use crate::clock;
use crate::units::{AppId, Cname, SecretHash, Uid};

/// What `cloud-recorder token` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// A token 007, as the vendor's builders make it
    Agora(Agora),
    /// A LiveKit JWT
    Livekit(LiveKit),
    /// The hash of a REST secret for customer_secret_hash; the secret is read from standard input
    HashSecret(HashSecret),
}

#[derive(Debug, clap::Args)]
struct HashSecret {
    /// Make a secret instead of reading one, and print it on a line of its own before its hash
    #[arg(long)]
    generate: bool,
}

/// The shortest secret that is hashed, in bytes: a shorter one can be found by trying.
const SHORTEST_SECRET: usize = 24;
/// How much of standard input is read, in bytes: what a request may bring.
const MAX_SECRET_BYTES: u64 = 512;

#[derive(Debug, clap::Args)]
struct Agora {
    /// The app id, 32 hexadecimal digits
    #[arg(long, env = "CLOUD_RECORDER_APP_ID")]
    app_id: AppId,
    /// The app's certificate, 32 hexadecimal digits; better given by the environment
    #[arg(long, env = "CLOUD_RECORDER_CERTIFICATE", hide_env_values = true)]
    certificate: SecretString,
    /// The channel that the token opens
    #[arg(long)]
    channel: Cname,
    /// The member; 0 opens the channel to any
    #[arg(long, default_value = "0")]
    uid: Uid,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct LiveKit {
    /// The API key, or an app id
    #[arg(long, env = "CLOUD_RECORDER_API_KEY")]
    api_key: String,
    /// The API secret, or the app's certificate; better given by the environment
    #[arg(long, env = "CLOUD_RECORDER_API_SECRET", hide_env_values = true)]
    api_secret: SecretString,
    /// The app whose channel is meant, where the API key is the server's; without it the server's first app
    #[arg(long)]
    app_id: Option<AppId>,
    /// The channel that the token opens
    #[arg(long)]
    channel: Cname,
    /// The member
    #[arg(long)]
    uid: Uid,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// What the member may do
    #[arg(long, value_enum, default_value_t = RoleArg::Publisher)]
    role: RoleArg,
    /// How long the token is good for, in seconds
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..))]
    ttl: u32,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArg {
    /// Speaks and listens
    Publisher,
    /// Listens
    Subscriber,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Publisher => Self::Publisher,
            RoleArg::Subscriber => Self::Subscriber,
        }
    }
}

/// Mints the token and prints it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let token = match &args.kind {
        Kind::Agora(args) => agora(args)?,
        Kind::Livekit(args) => livekit(args),
        Kind::HashSecret(args) => hash_secret(args, std::io::stdin().lock())?,
    };
    output::line(format_args!("{token}"))?;
    Ok(ExitCode::SUCCESS)
}

fn hash_secret(args: &HashSecret, input: impl Read) -> anyhow::Result<String> {
    if args.generate {
        let secret = format!("{:032x}", rand::random::<u128>());
        let hash = SecretHash::of(secret.as_bytes(), rand::random());
        return Ok(format!("{secret}\n{hash}"));
    }
    let mut secret = Zeroizing::new(String::new());
    input.take(MAX_SECRET_BYTES).read_to_string(&mut secret).context("the secret on standard input can't be read")?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(
        secret.len() >= SHORTEST_SECRET,
        "the secret has {} bytes; use one of {SHORTEST_SECRET} or more that a machine made (--generate makes one): the hash is fast, \
         and a short secret behind it can be found by trying",
        secret.len(),
    );
    Ok(SecretHash::of(secret.as_bytes(), rand::random()).to_string())
}

fn agora(args: &Agora) -> anyhow::Result<String> {
    let issued = u32::try_from(clock::now().0 / 1000).context("a 007 token can't say a time after the year 2106")?;
    let privileges = Privileges::of(args.common.role.into(), args.common.ttl);
    let order = Mint007 {
        app: &args.app_id,
        channel: &args.channel,
        uid: args.uid.as_str(),
        privileges: &privileges,
        issued,
        lifetime: args.common.ttl,
        salt: rand::random_range(1..=99_999_999),
    };
    Ok(mint_007(order, &args.certificate))
}

fn livekit(args: &LiveKit) -> String {
    let order = MintLiveKit {
        key: &args.api_key,
        app: args.app_id.as_ref(),
        room: &args.channel,
        identity: &args.uid,
        publish: matches!(args.common.role, RoleArg::Publisher),
        now: clock::now(),
        lifetime: args.common.ttl,
    };
    mint_livekit(order, &args.api_secret)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::channel_server::token::{AppKeys, Asked, Keys};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    const APP: &str = "0123456789abcdef0123456789abcdef";
    const CERTIFICATE: &str = "fedcba9876543210fedcba9876543210";

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Line::try_parse_from([&["token"], line].concat()).map(|line| line.args)
    }

    fn keys() -> Keys {
        Keys {
            apps: vec![AppKeys { app_id: AppId::new(APP).unwrap(), certificate: Some(CERTIFICATE.to_owned().into()) }],
            api_key: "key".into(),
            api_secret: "secret".to_owned().into(),
        }
    }

    #[test]
    fn both_kinds_open_the_channel_they_name() {
        for line in [
            vec!["agora", "--app-id", APP, "--certificate", CERTIFICATE, "--channel", "room", "--uid", "7"],
            vec!["livekit", "--api-key", "key", "--api-secret", "secret", "--channel", "room", "--uid", "7"],
            vec!["livekit", "--api-key", APP, "--api-secret", CERTIFICATE, "--channel", "room", "--uid", "7"],
        ] {
            let token = match parse(&line).unwrap().kind {
                Kind::Agora(args) => agora(&args).unwrap(),
                Kind::Livekit(args) => livekit(&args),
                Kind::HashSecret(_) => unreachable!("no line asks for it"),
            };
            let pass = keys().check(Some(&token), &Asked::default(), clock::now()).unwrap();
            assert_eq!((pass.cname.as_str(), pass.identity.unwrap().as_str()), ("room", "7"));
            assert!(pass.grants.microphone);
        }
    }

    #[test]
    fn a_secrets_hash_is_the_secrets_and_short_ones_are_refused() {
        let secret = "0123456789abcdef01234567";
        for input in [secret.to_owned(), format!("{secret}\n"), format!("{secret}\r\n")] {
            let hash = hash_secret(&HashSecret { generate: false }, input.as_bytes()).unwrap();
            assert!(bool::from(hash.parse::<SecretHash>().unwrap().matches(secret.as_bytes())));
        }
        let error = hash_secret(&HashSecret { generate: false }, &b"swordfish\n"[..]).unwrap_err().to_string();
        assert!(error.contains("--generate") && !error.contains("swordfish"), "{error}");
        let both = hash_secret(&HashSecret { generate: true }, std::io::empty()).unwrap();
        let (secret, hash) = both.split_once('\n').unwrap();
        assert!(bool::from(hash.parse::<SecretHash>().unwrap().matches(secret.as_bytes())));
    }

    #[test]
    fn an_app_id_that_is_none_is_refused() {
        let line = ["agora", "--app-id", "xyz", "--certificate", CERTIFICATE, "--channel", "room"];
        assert!(parse(&line).unwrap_err().to_string().contains("32 hexadecimal digits"));
    }
}
