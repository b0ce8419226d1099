//! Configuration, read once at start: flags, then the environment (`ATTESTRY_*`), then a file, then defaults.
//!
//! Every setting has one name: `public-url` is the flag `--public-url`, the variable `ATTESTRY_PUBLIC_URL` and the key
//! `public_url` of the file. An empty value counts as none.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// What is logged unless configured: our own events, and of others only what is wrong.
pub const DEFAULT_LOG: &str = "warn,sqlx=error,attestry=info";

/// Reading requests in ten seconds that each caller may make unless configured.
const DEFAULT_QUOTA_READS: NonZeroU32 = NonZeroU32::new(10_000).expect("more than zero");
/// Changing requests in ten seconds that each caller may make unless configured.
const DEFAULT_QUOTA_WRITES: NonZeroU32 = NonZeroU32::new(5_000).expect("more than zero");
/// Units in ten seconds that all callers of a tenant may use together unless configured: what ten thousand requests for one
/// object a second cost, so that it is there for those who know their machine to lower.
const DEFAULT_QUOTA_TENANT_UNITS: NonZeroU32 = NonZeroU32::new(100_000).expect("more than zero");

/// Every setting, by its key in the file.
const KEYS: [&str; 27] = [
    "listen",
    "database_url",
    "data_dir",
    "public_url",
    "tls_cert",
    "tls_key",
    "smtp_url",
    "mail_from",
    "smtp_ca",
    "dev_issuer",
    "allow_http_issuers",
    "allow_private_issuers",
    "quotas",
    "quota_reads",
    "quota_writes",
    "quota_tenant_units",
    "allowed_origins",
    "max_connections",
    "bulk_connections",
    "scheduler_connections",
    "workers",
    "drain_seconds",
    "log",
    "log_format",
    "most_items_per_instance",
    "most_reviewers_per_item",
    "most_instances_per_occurrence",
];

/// The settings as flags of the command line.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration (each also as ATTESTRY_… in the environment)")]
pub struct Flags {
    /// File with settings (TOML, e.g. `public_url = "https://reviews.example"`) [env: ATTESTRY_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen [env: ATTESTRY_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// PostgreSQL to work on; better given as ATTESTRY_DATABASE_URL, for others can read a command line. Without it a
    /// private PostgreSQL under the data directory is used
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Where the private PostgreSQL lives [env: ATTESTRY_DATA_DIR] [default: ./.attestry]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub data_dir: Option<String>,
    /// Scheme and host that links in answers and mails begin with [env: ATTESTRY_PUBLIC_URL] [default: http://<listen>,
    /// or https when it serves TLS]
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// Certificate chain (PEM) to serve TLS with; needs the key, too [env: ATTESTRY_TLS_CERT]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// Private key (PEM) of the certificate [env: ATTESTRY_TLS_KEY]
    #[arg(long, global = true, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Connections to the database at most, of all lanes together [env: ATTESTRY_MAX_CONNECTIONS] [default: 20]
    #[arg(long, global = true, value_name = "NUMBER")]
    pub max_connections: Option<String>,
    /// What to log, e.g. `debug` or `attestry=debug,warn` [env: ATTESTRY_LOG] [default: warn,sqlx=error,attestry=info]
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// `text` or `json` [env: ATTESTRY_LOG_FORMAT] [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
}

impl Flags {
    fn layer(&self) -> Layer {
        let given = [
            ("listen", &self.listen),
            ("database_url", &self.database_url),
            ("data_dir", &self.data_dir),
            ("public_url", &self.public_url),
            ("tls_cert", &self.tls_cert),
            ("tls_key", &self.tls_key),
            ("max_connections", &self.max_connections),
            ("log", &self.log),
            ("log_format", &self.log_format),
        ];
        given.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

/// Values that one source gives, by key.
type Layer = BTreeMap<&'static str, String>;

/// Everything that is configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port to listen on; port 0 takes any free one.
    pub listen: String,
    /// A PostgreSQL that runs elsewhere; `None` is the private one.
    pub database_url: Option<SecretString>,
    /// Where the private PostgreSQL lives.
    pub data_dir: PathBuf,
    /// What links begin with, without a slash at the end; `None` follows from the address listened on.
    pub public_url: Option<String>,
    /// What TLS is served with; `None` serves plain HTTP.
    pub tls: Option<TlsConfig>,
    /// The mail server; `None` drops mail.
    pub mail: Option<MailConfig>,
    /// Whether tokens of the built-in issuer are made and accepted.
    pub dev_issuer: bool,
    /// Whether tokens' issuers are called over plain http too, not only on this machine.
    pub allow_http_issuers: bool,
    /// Whether tokens' issuers are called that are not on the public internet.
    pub allow_private_issuers: bool,
    /// Whether requests are throttled.
    pub quotas: bool,
    /// Reading requests in ten seconds that each caller may make.
    pub quota_reads: NonZeroU32,
    /// Changing requests in ten seconds that each caller may make.
    pub quota_writes: NonZeroU32,
    /// Units in ten seconds that all callers of a tenant may use together.
    pub quota_tenant_units: NonZeroU32,
    /// Origins whose pages may call from a browser, such as `https://admin.example`.
    pub allowed_origins: Vec<String>,
    /// Database connections at most, of all lanes together.
    pub max_connections: u32,
    /// Those of them for bulk operations; `None` is a fifth.
    pub bulk_connections: Option<u32>,
    /// Those of them for jobs; `None` follows from the number of workers.
    pub scheduler_connections: Option<u32>,
    /// Jobs worked on at the same time by this process.
    pub workers: usize,
    /// How long requests are still accepted after the signal to stop, while `/readyz` says so already: time for a load
    /// balancer to look elsewhere.
    pub drain: Duration,
    /// Which events are logged.
    pub log: String,
    /// How they are written.
    pub log_format: LogFormat,
    /// Items of one instance at most; `None` is as usual. LC-REV-13
    pub most_items_per_instance: Option<i32>,
    /// Reviewers of one item at most; `None` is as usual. LC-REV-13
    pub most_reviewers_per_item: Option<i32>,
    /// Instances of one occurrence at most; `None` is as usual. LC-REV-13
    pub most_instances_per_occurrence: Option<i32>,
}

/// Files of a certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate, then those that lead to an authority.
    pub certificate_chain: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// A mail server and who writes.
#[derive(Clone, Debug)]
pub struct MailConfig {
    /// May hold a password.
    pub url: SecretString,
    /// The sender's address.
    pub from: String,
    /// A file with authorities (PEM) that the server's certificate may come from, besides the public ones.
    pub authority: Option<PathBuf>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why there is no configuration. Never tells a value that may be secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is no TOML. The text of the parser's error may quote the line, so only its place is told.
    #[error("the configuration file {} is not TOML{}", path.display(), line.map(|line| format!(" (line {line})")).unwrap_or_default())]
    FileMalformed {
        /// The file.
        path: PathBuf,
        /// Where it went wrong, from 1.
        line: Option<usize>,
    },
    /// The file has a key that is no setting.
    #[error("the configuration file knows no setting `{key}`; there are {}", KEYS.join(", "))]
    UnknownKey {
        /// As written.
        key: String,
    },
    /// A value does not fit its setting.
    #[error("{} must be {wanted}", variable(key))]
    Value {
        /// The setting.
        key: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
}

/// The environment variable of a setting.
fn variable(key: &str) -> String {
    format!("ATTESTRY_{}", key.to_ascii_uppercase())
}

impl Config {
    /// Reads the process's configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting or the file.
    pub fn read(flags: &Flags) -> Result<Self, ConfigError> {
        let environment = |name: &str| std::env::var(name).ok();
        let path = flags
            .config
            .clone()
            .or_else(|| environment("ATTESTRY_CONFIG").filter(|path| !path.is_empty()).map(PathBuf::from));
        let file = match path {
            Some(path) => match std::fs::read_to_string(&path) {
                Ok(text) => file_layer(&text, path)?,
                Err(source) => return Err(ConfigError::FileUnreadable { path, source }),
            },
            None => Layer::new(),
        };
        Self::from_layers(flags.layer(), environment_layer(environment), file)
    }

    fn from_layers(flags: Layer, environment: Layer, file: Layer) -> Result<Self, ConfigError> {
        let mut values = Layer::new();
        for layer in [file, environment, flags] {
            values.extend(layer.into_iter().filter(|(_, value)| !value.trim().is_empty()));
        }
        let mut take = |key: &'static str| values.remove(key).map(|value| value.trim().to_owned());
        let listen = take("listen").unwrap_or_else(|| "127.0.0.1:8080".to_owned());
        if !listen.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
            return Err(ConfigError::Value { key: "listen", wanted: "a host and a port such as 127.0.0.1:8080" });
        }
        let database_url = take("database_url").map(SecretString::from);
        if let Some(url) = &database_url
            && !["postgres://", "postgresql://"].iter().any(|scheme| url.expose_secret().starts_with(scheme))
        {
            return Err(ConfigError::Value { key: "database_url", wanted: "an address that begins with postgres://" });
        }
        let public_url = take("public_url").map(|text| public_url(&text)).transpose()?;
        let tls = match (take("tls_cert"), take("tls_key")) {
            (Some(chain), Some(key)) => Some(TlsConfig { certificate_chain: chain.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(ConfigError::Value { key: "tls_key", wanted: "set when ATTESTRY_TLS_CERT is" });
            }
            (None, Some(_)) => {
                return Err(ConfigError::Value { key: "tls_cert", wanted: "set when ATTESTRY_TLS_KEY is" });
            }
        };
        let max_connections = number("max_connections", take("max_connections"), 20, 4..=1_000)?;
        let mut lane = |key| take(key).map(|value| number(key, Some(value), 0, 1..=998)).transpose();
        let (bulk_connections, scheduler_connections) = (lane("bulk_connections")?, lane("scheduler_connections")?);
        // Jobs take two at least: one to work with and one to keep the lease with.
        if bulk_connections.unwrap_or(1) + scheduler_connections.unwrap_or(2) >= max_connections {
            let key = if bulk_connections.is_some() { "bulk_connections" } else { "scheduler_connections" };
            return Err(ConfigError::Value {
                key,
                wanted: "so few that ATTESTRY_MAX_CONNECTIONS leaves some for requests",
            });
        }
        let authority = take("smtp_ca").map(PathBuf::from);
        let mail = match (take("smtp_url"), take("mail_from")) {
            (Some(url), Some(from)) => Some(MailConfig { url: url.into(), from, authority }),
            (Some(_), None) => {
                return Err(ConfigError::Value { key: "mail_from", wanted: "set when ATTESTRY_SMTP_URL is" });
            }
            (None, _) => None,
        };
        Ok(Self {
            listen,
            database_url,
            data_dir: take("data_dir").unwrap_or_else(|| ".attestry".to_owned()).into(),
            public_url,
            tls,
            mail,
            dev_issuer: switch("dev_issuer", take("dev_issuer"), false)?,
            allow_http_issuers: switch("allow_http_issuers", take("allow_http_issuers"), false)?,
            allow_private_issuers: switch("allow_private_issuers", take("allow_private_issuers"), false)?,
            quotas: switch("quotas", take("quotas"), true)?,
            quota_reads: quota("quota_reads", take("quota_reads"), DEFAULT_QUOTA_READS)?,
            quota_writes: quota("quota_writes", take("quota_writes"), DEFAULT_QUOTA_WRITES)?,
            quota_tenant_units: quota("quota_tenant_units", take("quota_tenant_units"), DEFAULT_QUOTA_TENANT_UNITS)?,
            allowed_origins: origins(take("allowed_origins"))?,
            max_connections,
            bulk_connections,
            scheduler_connections,
            workers: number("workers", take("workers"), 4, 1..=256)? as usize,
            drain: Duration::from_secs(number("drain_seconds", take("drain_seconds"), 0, 0..=600)?.into()),
            log: take("log").unwrap_or_else(|| DEFAULT_LOG.to_owned()),
            log_format: match take("log_format").as_deref() {
                None | Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                Some(_) => return Err(ConfigError::Value { key: "log_format", wanted: "text or json" }),
            },
            most_items_per_instance: limit("most_items_per_instance", take("most_items_per_instance"))?,
            most_reviewers_per_item: limit("most_reviewers_per_item", take("most_reviewers_per_item"))?,
            most_instances_per_occurrence: limit(
                "most_instances_per_occurrence",
                take("most_instances_per_occurrence"),
            )?,
        })
    }

    /// What links begin with when the service listens on `address`.
    pub fn public_url_for(&self, address: SocketAddr) -> String {
        match &self.public_url {
            Some(url) => url.clone(),
            None if address.ip().is_unspecified() => format!("{}://localhost:{}", self.scheme(), address.port()),
            None => format!("{}://{address}", self.scheme()),
        }
    }

    /// [`Config::public_url_for`] before or without listening.
    pub fn expected_public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("{}://{}", self.scheme(), self.listen))
    }

    fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

fn environment_layer(environment: impl Fn(&str) -> Option<String>) -> Layer {
    KEYS.into_iter().filter_map(|key| Some((key, environment(&variable(key))?))).collect()
}

fn file_layer(text: &str, path: PathBuf) -> Result<Layer, ConfigError> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            let error: toml::de::Error = error;
            let line =
                error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count() + 1);
            return Err(ConfigError::FileMalformed { path, line });
        }
    };
    let mut layer = Layer::new();
    for (written, value) in table {
        let Some(key) = KEYS.into_iter().find(|key| *key == written) else {
            return Err(ConfigError::UnknownKey { key: written });
        };
        let value = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(switch) => if switch { "on" } else { "off" }.to_owned(),
            toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                return Err(ConfigError::Value { key, wanted: "a text, a whole number, true or false" });
            }
        };
        layer.insert(key, value);
    }
    Ok(layer)
}

fn public_url(text: &str) -> Result<String, ConfigError> {
    let wanted = "an address such as https://reviews.example, without a query";
    let url = Url::parse(text).map_err(|_| ConfigError::Value { key: "public_url", wanted })?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    match plain {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err(ConfigError::Value { key: "public_url", wanted }),
    }
}

fn switch(key: &'static str, value: Option<String>, default: bool) -> Result<bool, ConfigError> {
    match value.map(|value| value.to_ascii_lowercase()).as_deref() {
        None => Ok(default),
        Some("1" | "on" | "true" | "yes") => Ok(true),
        Some("0" | "off" | "false" | "no") => Ok(false),
        Some(_) => Err(ConfigError::Value { key, wanted: "on or off" }),
    }
}

fn quota(key: &'static str, value: Option<String>, default: NonZeroU32) -> Result<NonZeroU32, ConfigError> {
    let Some(value) = value else { return Ok(default) };
    let within = value.parse::<NonZeroU32>().ok().filter(|number| number.get() <= 1_000_000);
    within.ok_or(ConfigError::Value { key, wanted: "a whole number from 1 to 1000000" })
}

/// A limit: any number from 1 to 2 000 000 000. LC-REV-13
fn limit(key: &'static str, value: Option<String>) -> Result<Option<i32>, ConfigError> {
    let Some(value) = value else { return Ok(None) };
    let within = value.parse().ok().filter(|number| (1..=2_000_000_000).contains(number));
    within.map(Some).ok_or(ConfigError::Value { key, wanted: "a whole number from 1 to 2000000000" })
}

/// Origins between commas, as browsers send them.
fn origins(value: Option<String>) -> Result<Vec<String>, ConfigError> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let origin = |text: &str| {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let origin = url.origin().ascii_serialization();
        (text.trim_end_matches('/').eq_ignore_ascii_case(&origin)).then_some(origin)
    };
    let listed = value.split(',').map(str::trim).filter(|text| !text.is_empty());
    let wanted = "origins such as https://admin.example, with commas between them";
    listed.map(|text| origin(text).ok_or(ConfigError::Value { key: "allowed_origins", wanted })).collect()
}

fn number(
    key: &'static str,
    value: Option<String>,
    default: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, ConfigError> {
    let Some(value) = value else { return Ok(default) };
    value.parse().ok().filter(|number| range.contains(number)).ok_or(ConfigError::Value {
        key,
        wanted: match key {
            "max_connections" => "a whole number from 4 to 1000",
            "bulk_connections" | "scheduler_connections" => "a whole number from 1 to 998",
            "workers" => "a whole number from 1 to 256",
            _ => "a whole number of seconds, at most 600",
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(values: &[(&'static str, &str)]) -> Layer {
        values.iter().map(|(key, value)| (*key, (*value).to_owned())).collect()
    }

    fn configured(values: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
        Config::from_layers(Layer::new(), layer(values), Layer::new())
    }

    #[test]
    fn flags_win_over_the_environment_which_wins_over_the_file_which_wins_over_defaults() {
        let file = layer(&[("listen", "127.0.0.1:1"), ("log", "file"), ("data_dir", "file")]);
        let environment = layer(&[("listen", "127.0.0.1:2"), ("log", "environment")]);
        let flags = layer(&[("listen", "127.0.0.1:3")]);

        let config = Config::from_layers(flags, environment, file).expect("a configuration");

        assert_eq!(config.listen, "127.0.0.1:3");
        assert_eq!(config.log, "environment");
        assert_eq!(config.data_dir, PathBuf::from("file"));
        assert_eq!(config.max_connections, 20);
        assert!(!config.dev_issuer);
        assert!(config.quotas);
    }

    #[test]
    fn every_setting_is_read_from_its_variable() {
        let config = environment_layer(|name| Some(name.to_owned()));
        assert_eq!(config.get("public_url").map(String::as_str), Some("ATTESTRY_PUBLIC_URL"));
        assert_eq!(config.len(), KEYS.len());
    }

    #[test]
    fn an_empty_value_is_none() {
        let config = configured(&[("database_url", ""), ("listen", " ")]).expect("a configuration");
        assert!(config.database_url.is_none());
        assert_eq!(config.listen, "127.0.0.1:8080");
    }

    #[test]
    fn a_secret_is_neither_shown_by_debug_nor_by_an_error() {
        let shown = configured(&[
            ("database_url", "postgres://u:hunter2@h/d"),
            ("smtp_url", "smtp://u:hunter2@h"),
            ("mail_from", "a@b.example"),
        ]);
        assert!(!format!("{shown:?}").contains("hunter2"));

        let refused = configured(&[("database_url", "mysql://u:hunter2@h/d")]).expect_err("no PostgreSQL");
        assert!(!format!("{refused} {refused:?}").contains("hunter2"));

        let refused = file_layer("log = \"info\"\ndatabase_url = postgres://u:hunter2@h/d", "f.toml".into());
        let refused = refused.expect_err("no TOML");
        assert_eq!(refused.to_string(), "the configuration file f.toml is not TOML (line 2)");
        assert!(!format!("{refused:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_takes_texts_numbers_and_switches_and_refuses_what_it_does_not_know() {
        let file =
            file_layer("listen = \"[::1]:80\"\nmax_connections = 7\ndev_issuer = true\nquotas = \"off\"", "f".into());
        let config = Config::from_layers(Layer::new(), Layer::new(), file.expect("a file")).expect("a configuration");
        assert_eq!((config.listen.as_str(), config.max_connections), ("[::1]:80", 7));
        assert!(config.dev_issuer && !config.quotas);

        let unknown = file_layer("lissen = \"x\"", "f".into()).expect_err("a misspelt key");
        assert!(unknown.to_string().contains("`lissen`"));
    }

    #[test]
    fn values_that_do_not_fit_are_refused_by_the_name_of_their_variable() {
        for (key, value) in [
            ("listen", "8080"),
            ("listen", "localhost:http"),
            ("public_url", "reviews.example"),
            ("public_url", "https://u:p@reviews.example"),
            ("dev_issuer", "maybe"),
            ("max_connections", "1"),
            ("max_connections", "3"),
            ("max_connections", "-4"),
            ("bulk_connections", "0"),
            ("bulk_connections", "18"),
            ("scheduler_connections", "19"),
            ("drain_seconds", "1h"),
            ("log_format", "xml"),
            ("quota_reads", "0"),
            ("quota_writes", "many"),
            ("quota_tenant_units", "0"),
            ("allowed_origins", "https://admin.example/path"),
            ("allowed_origins", "*"),
            ("most_items_per_instance", "0"),
            ("most_reviewers_per_item", "all"),
            ("most_instances_per_occurrence", "-1"),
        ] {
            let refused = configured(&[(key, value)]).expect_err("a bad value");
            assert!(refused.to_string().starts_with(&variable(key)), "{refused}");
        }
        assert!(configured(&[("smtp_url", "smtp://h")]).is_err());
    }

    #[test]
    fn lanes_take_what_they_are_given_of_the_connections() {
        let usual = configured(&[]).expect("a configuration");
        assert_eq!((usual.bulk_connections, usual.scheduler_connections), (None, None));
        let given = configured(&[("max_connections", "9"), ("bulk_connections", "3"), ("scheduler_connections", "5")]);
        let given = given.expect("a configuration");
        assert_eq!((given.bulk_connections, given.scheduler_connections), (Some(3), Some(5)));
    }

    /// LC-REV-13
    #[test]
    fn limits_are_the_operators_to_change() {
        assert_eq!(configured(&[]).expect("a configuration").most_items_per_instance, None);
        let changed = configured(&[("most_items_per_instance", "2000000"), ("most_reviewers_per_item", "3")]);
        let changed = changed.expect("a configuration");
        assert_eq!((changed.most_items_per_instance, changed.most_reviewers_per_item), (Some(2_000_000), Some(3)));
        assert_eq!(changed.most_instances_per_occurrence, None);
    }

    #[test]
    fn links_begin_with_the_public_url_or_else_with_the_address() {
        let own = configured(&[]).expect("a configuration");
        let address = |text: &str| text.parse().expect("an address");
        assert_eq!(own.public_url_for(address("127.0.0.1:4711")), "http://127.0.0.1:4711");
        assert_eq!(own.public_url_for(address("0.0.0.0:80")), "http://localhost:80");

        let tls = configured(&[("tls_cert", "chain.pem"), ("tls_key", "key.pem")]).expect("a configuration");
        assert_eq!(tls.public_url_for(address("127.0.0.1:4711")), "https://127.0.0.1:4711");
        assert_eq!(tls.expected_public_url(), "https://127.0.0.1:8080");

        let given = configured(&[("public_url", "https://reviews.example/")]).expect("a configuration");
        assert_eq!(given.public_url_for(address("127.0.0.1:4711")), "https://reviews.example");
    }
}
