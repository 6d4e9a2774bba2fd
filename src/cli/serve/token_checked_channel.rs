//! A channel that looks at the tokens that callers bring: 006, 007 or LiveKit's, as the embedded channel server looks at its
//! members'. An app without a certificate has none to check them with.

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::channel::{Channel, ChannelHandle, JoinError, JoinRequest, TokenError};
use crate::channel_server::token::{AppKeys, Asked, Keys, Refusal};
use crate::units::{AppId, Cname, Uid, WallMs};

/// See the module's documentation.
pub(super) struct TokenCheckedChannel<C> {
    channel: C,
    app: AppId,
    keys: Keys,
}

impl<C> TokenCheckedChannel<C> {
    /// `certificate` signs the app's tokens.
    pub(super) fn new(channel: C, app: AppId, certificate: SecretString) -> Self {
        // No server-wide key pair: nobody knows this one.
        let nobodys = || format!("{:032x}", rand::random::<u128>());
        let apps = vec![AppKeys { app_id: app.clone(), certificate: Some(certificate) }];
        Self { channel, app, keys: Keys { apps, api_key: nobodys(), api_secret: nobodys().into() } }
    }
}

#[async_trait]
impl<C: Channel> Channel for TokenCheckedChannel<C> {
    async fn join(&self, request: JoinRequest) -> Result<ChannelHandle, JoinError> {
        self.channel.join(request).await
    }

    fn admits(
        &self,
        token: &SecretString,
        cname: &Cname,
        uid: &Uid,
        now: WallMs,
    ) -> Result<Option<WallMs>, TokenError> {
        let asked = Asked { room: Some(cname.to_string()), identity: Some(uid.to_string()) };
        let pass = self.keys.check(Some(token.expose_secret()), &asked, now).map_err(|refusal| match refusal {
            Refusal::Expired => TokenError::Expired(refusal.to_string()),
            _ => TokenError::Invalid(refusal.to_string()),
        })?;
        if pass.app != self.app || pass.cname != *cname {
            return Err(TokenError::Invalid(Refusal::Invalid("for another channel").to_string()));
        }
        Ok(pass.terms.stay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel_server::token::{Mint007, MintLiveKit, Privileges, Role, mint_007, mint_livekit};

    const NOW: WallMs = WallMs(1_700_000_000_000);

    struct Nowhere;

    #[async_trait]
    impl Channel for Nowhere {
        async fn join(&self, _: JoinRequest) -> Result<ChannelHandle, JoinError> {
            Err(JoinError::Unreachable("a test".into()))
        }
    }

    fn app() -> AppId {
        AppId::new("0123456789abcdef0123456789abcdef").unwrap()
    }

    fn certificate(text: &str) -> SecretString {
        text.repeat(16).into()
    }

    fn token(channel: &str, uid: &str, lifetime: u32, certificate: &SecretString) -> SecretString {
        let privileges = Privileges::of(Role::Subscriber, lifetime);
        let channel = Cname::new(channel).unwrap();
        let (issued, salt) = (1_700_000_000, 7);
        let order = Mint007 { app: &app(), channel: &channel, uid, privileges: &privileges, issued, lifetime, salt };
        mint_007(order, certificate).into()
    }

    #[test]
    fn a_token_is_good_for_its_channel_and_uid_until_its_end() {
        let key = certificate("ab");
        let token_checked_channel = TokenCheckedChannel::new(Nowhere, app(), key.clone());
        let (room, uid) = (Cname::new("room").unwrap(), Uid::new("527").unwrap());
        let admits = |token: &SecretString, now| token_checked_channel.admits(token, &room, &uid, now);
        let end = WallMs(NOW.0 + 60_000);
        for own in ["527", "0"] {
            assert_eq!(admits(&token("room", own, 60, &key), NOW), Ok(Some(end)), "{own}");
        }
        let late = admits(&token("room", "527", 60, &key), end);
        assert!(matches!(&late, Err(TokenError::Expired(text)) if text == "dynamic key expired"), "{late:?}");
        for wrong in [
            token("other", "527", 60, &key),
            token("room", "528", 60, &key),
            token("room", "527", 60, &certificate("cd")),
            "not a token".to_owned().into(),
        ] {
            let refused = admits(&wrong, NOW);
            assert!(matches!(&refused, Err(TokenError::Invalid(text)) if text == "invalid token, authorized failed"));
        }
    }

    #[test]
    fn a_token_of_livekit_ends_nothing() {
        let key = certificate("ab");
        let token_checked_channel = TokenCheckedChannel::new(Nowhere, app(), key.clone());
        let uid = Uid::new("527").unwrap();
        let mint = |room: &str| {
            let (room, app) = (Cname::new(room).unwrap(), app());
            let order = MintLiveKit {
                key: app.as_str(),
                app: None,
                room: &room,
                identity: &uid,
                publish: false,
                now: NOW,
                lifetime: 60,
            };
            SecretString::from(mint_livekit(order, &key))
        };
        let room = Cname::new("room").unwrap();
        assert_eq!(token_checked_channel.admits(&mint("room"), &room, &uid, NOW), Ok(None));
        assert!(token_checked_channel.admits(&mint("other"), &room, &uid, NOW).is_err());
    }
}
