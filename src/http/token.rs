//! Who may call: tokens, what each may do and for whom. A token is never kept, only its digest, and it
//! has no equality: presented ones are compared by digests of equal length, with all of those known, in
//! a time that tells nothing.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use greenroom_actors::domain::ids::{PrincipalId, TenantId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

/// What a token may be used for. None holds another: each is given by name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To look.
    Read,
    /// To open sessions, to speak to them, to cancel.
    Act,
    /// To answer questions.
    Approve,
    /// To release what was quarantined, and to stop everything.
    Admin,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Act, Self::Approve, Self::Admin];

    /// Its word in settings and in the document.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Act => "act",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }
}

/// A token that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadToken {
    /// The system gives no random numbers.
    #[error("make a token: the system gives no random numbers")]
    NoRandom,
    /// Too short to be kept from being guessed.
    #[error(
        "use a token of {chars} characters: expected at least {min}; `openssl rand -base64 32` makes one"
    )]
    TooShort {
        /// Its length.
        chars: usize,
        /// What is expected.
        min: usize,
    },
}

/// The shortest that is taken: 24 characters of base64 are 144 bits.
const CHARS_MIN: usize = 24;

/// A secret word that is sent with each request. It is shown once, by whoever made it. It has no
/// equality, which would take the longer the more of a guess is right:
///
/// ```compile_fail,E0369
/// # use greenroom::Token;
/// fn is_it(one: &Token, other: &Token) -> bool {
///     one == other
/// }
/// ```
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// A new one of 256 random bits.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn fresh() -> Result<Self, BadToken> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_none| BadToken::NoRandom)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// One that somebody made.
    ///
    /// # Errors
    /// When it is so short that it could be guessed.
    pub fn given(text: impl Into<String>) -> Result<Self, BadToken> {
        let text = text.into();
        let chars = text.chars().count();
        if chars < CHARS_MIN {
            return Err(BadToken::TooShort { chars, min: CHARS_MIN });
        }
        Ok(Self(text))
    }

    /// What is to be sent, for whoever shows it to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// It may do everything, for every tenant.
    #[must_use]
    pub fn admin(&self, name: impl Into<PrincipalId>) -> Grant {
        self.grant(name, Scope::ALL)
    }

    /// It may do this, for every tenant.
    #[must_use]
    pub fn grant(
        &self,
        name: impl Into<PrincipalId>,
        scopes: impl IntoIterator<Item = Scope>,
    ) -> Grant {
        let mut held = [false; Scope::ALL.len()];
        for scope in scopes {
            held[scope as usize] = true;
        }
        Grant { name: name.into(), digest: digest(&self.0), held, tenant: None, until: None }
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// What a token may be used for, by whom it is held and for whose sessions.
#[derive(Clone)]
pub struct Grant {
    name: PrincipalId,
    digest: [u8; 32],
    held: [bool; Scope::ALL.len()],
    tenant: Option<TenantId>,
    until: Option<Timestamp>,
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Grant {
    /// Only for this tenant's sessions: of all others it does not even learn that they exist.
    #[must_use]
    pub fn tenant(mut self, tenant: impl Into<TenantId>) -> Self {
        self.tenant = Some(tenant.into());
        self
    }

    /// Only until then.
    #[must_use]
    pub const fn until(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }
}

/// Who may call.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Grant>);

impl Tokens {
    /// One more.
    pub fn admit(&mut self, grant: Grant) {
        self.0.push(grant);
    }

    /// Whether nobody may.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who presents this, if it is known and has not expired.
    pub(super) fn caller(&self, presented: &str, now: Timestamp) -> Option<Caller> {
        let presented = digest(presented);
        let found = place(&presented, self.0.iter().map(|grant| &grant.digest));
        let grant = self.0.get(usize::try_from(found).ok()?)?;
        if grant.until.is_some_and(|until| now > until) {
            return None;
        }
        let Grant { name, held, tenant, .. } = grant.clone();
        Some(Caller { name, held, tenant, no: found })
    }
}

/// Which of those known is presented; past the last one where none is. All are compared, and which of
/// them fits is found without a branch.
fn place<'k>(presented: &[u8; 32], known: impl Iterator<Item = &'k [u8; 32]>) -> u32 {
    let mut found = u32::MAX;
    for (no, digest) in (0_u32..).zip(known) {
        let fits: Choice = digest.ct_eq(presented);
        found.conditional_assign(&no, fits);
    }
    found
}

/// Who made a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Its name: what it causes is in the log under it.
    pub(super) name: PrincipalId,
    held: [bool; Scope::ALL.len()],
    /// Whose sessions it may see; all where none is named.
    pub(super) tenant: Option<TenantId>,
    /// Which token it is.
    pub(super) no: u32,
}

impl Caller {
    pub(super) const fn may(&self, scope: Scope) -> bool {
        self.held[scope as usize]
    }

    /// All that it may.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        Scope::ALL.into_iter().filter(|scope| self.may(*scope)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_token_is_compared_wherever_the_presented_one_stands() {
        let known: Vec<[u8; 32]> = (0..50).map(|no: u8| digest(&no.to_string())).collect();
        let compared = |presented: &str| {
            let mut compared = 0;
            let known = known.iter().inspect(|_digest| compared += 1);
            let found = place(&digest(presented), known);
            (found, compared)
        };
        for no in [0, 1, 25, 49] {
            assert_eq!(compared(&no.to_string()), (no, 50));
        }
        for wrong in ["50", "", "0 ", "00"] {
            assert_eq!(compared(wrong), (u32::MAX, 50), "{wrong:?}");
        }
    }
}
