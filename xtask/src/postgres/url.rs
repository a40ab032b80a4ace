//! Just enough of URLs to name another database or account on the same server.

use std::fmt;

use crate::{Failure, Result};

/// `scheme://account@host/database?parameters`
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    scheme: String,
    account: Option<String>,
    host: String,
    database: String,
    parameters: Option<String>,
}

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(Failure::new(
                "the URL of a server has to look like postgres://user:password@host/database",
            ));
        };
        let (rest, parameters) = match rest.split_once('?') {
            Some((rest, parameters)) => (rest, Some(parameters.to_owned())),
            None => (rest, None),
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (account, host) = match authority.rsplit_once('@') {
            Some((account, host)) => (Some(account.to_owned()), host),
            None => (None, authority),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            account,
            host: host.to_owned(),
            database: database.to_owned(),
            parameters,
        })
    }

    /// None of these must need escapes.
    pub(super) fn tcp(account: &str, host: &str, database: &str) -> Self {
        Self {
            scheme: "postgres".to_owned(),
            account: Some(account.to_owned()),
            host: host.to_owned(),
            database: database.to_owned(),
            parameters: None,
        }
    }

    pub(super) fn with_database(mut self, database: &str) -> Self {
        database.clone_into(&mut self.database);
        self
    }

    /// Both must not need escapes.
    pub(super) fn with_account(mut self, role: &str, password: &str) -> Self {
        self.account = Some(format!("{role}:{password}"));
        self
    }
}

/// What may be printed: the text itself, but of a URL with a password only what is no secret.
pub(crate) fn without_password(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if format!("{url:?}") != url.to_string() => format!("{url:?}"),
        _ => text.to_owned(),
    }
}

/// Without the password.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.clone();
        let account = self.account.as_ref().and_then(|account| account.split_once(':'));
        if let Some((role, _)) = account {
            shown.account = Some(format!("{role}:***"));
        }
        let secret = |parameter: &str| parameter.starts_with("password=");
        shown.parameters = self.parameters.as_ref().map(|parameters| {
            let shown = parameters.split('&').map(|one| if secret(one) { "password=***" } else { one });
            shown.collect::<Vec<_>>().join("&")
        });
        write!(f, "{shown}")
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(account) = &self.account {
            write!(f, "{account}@")?;
        }
        write!(f, "{}/{}", self.host, self.database)?;
        self.parameters.as_ref().map_or(Ok(()), |parameters| write!(f, "?{parameters}"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Url, without_password};

    #[test]
    fn passwords_are_not_printed() {
        for (text, expected) in [
            (
                "postgres://me:p%40ss@host:5432/mine?sslmode=require",
                "postgres://me:***@host:5432/mine?sslmode=require",
            ),
            ("postgres:///mine?user=me&password=s3cret", "postgres:///mine?user=me&password=***"),
            ("postgres://me@host/mine", "postgres://me@host/mine"),
            ("--example", "--example"),
            ("sqlite://quickstart.db", "sqlite://quickstart.db"),
        ] {
            assert_eq!(without_password(text), expected);
        }
    }

    #[test]
    fn a_url_names_another_database_and_account() {
        for (url, expected) in [
            (
                "postgres://me:p%40ss@[::1]:5432/mine?sslmode=require",
                "postgres://a:b@[::1]:5432/other?sslmode=require",
            ),
            ("postgresql://host", "postgresql://a:b@host/other"),
            ("postgres:///mine?host=/run/postgresql", "postgres://a:b@/other?host=/run/postgresql"),
        ] {
            let parsed = Url::parse(url).expect("it is a URL");
            assert_eq!(parsed.with_database("other").with_account("a", "b").to_string(), expected);
        }
    }

    #[test]
    fn what_is_read_is_written_again() {
        let url = "postgres://me:p%40ss@host:5432/mine?sslmode=require";
        assert_eq!(Url::parse(url).expect("it is a URL").to_string(), url);
        assert!(Url::parse("host=localhost").is_err());
    }
}
