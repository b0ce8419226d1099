//! The command line: a contract that other tools call. Section 6 of the design
//!
//! What a command prints for programs goes alone to standard output; everything else goes to standard error.

mod clock;
mod database;
mod demo;
mod import;
mod issuer;
mod mail_template;
mod migrate;
mod serve;
mod service;
mod settings;
mod tenant;
mod token;

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use attestry::{
    config::{Config, DEFAULT_LOG, Flags, LogFormat},
    domain::duration::IsoDuration,
    http::server::api_document,
    telemetry,
};
use clap::{Args, Parser, Subcommand};

use self::database::Database;

/// Settings without a flag: they rarely change, or hold a password.
const ENVIRONMENT: &str = "\
Further settings, from the environment or (in lower case, without ATTESTRY_) from the file:
  ATTESTRY_DATABASE_URL    PostgreSQL to work on, instead of a private one
  ATTESTRY_SMTP_URL        mail server, such as smtps://user:password@mail.example; without it mail is dropped
  ATTESTRY_MAIL_FROM       sender of mails; needed with a mail server
  ATTESTRY_SMTP_CA         file of authorities (PEM) to trust besides the public ones for the mail server's certificate
  ATTESTRY_DEV_ISSUER      1: make and accept tokens of the built-in issuer; not for production
  ATTESTRY_ALLOW_PRIVATE_ISSUERS  1: call OpenID providers that are not on the public internet
  ATTESTRY_ALLOW_HTTP_ISSUERS     1: call them over plain http, too
  ATTESTRY_QUOTAS          on or off: throttling of requests [default: on]
  ATTESTRY_QUOTA_READS     reading requests each caller may make in 10 seconds [default: 10000]
  ATTESTRY_QUOTA_WRITES    changing requests each caller may make in 10 seconds [default: 5000]
  ATTESTRY_ALLOWED_ORIGINS origins whose pages may call from a browser, such as https://admin.example [default: none]
  ATTESTRY_WORKERS         jobs at the same time [default: 4]
  ATTESTRY_DRAIN_SECONDS   how long requests are still accepted after the signal to stop [default: 0]
  ATTESTRY_MOST_ITEMS_PER_INSTANCE        items of one review at most [default: 100000]
  ATTESTRY_MOST_REVIEWERS_PER_ITEM        people who may answer for one item, at most [default: 500]
  ATTESTRY_MOST_INSTANCES_PER_OCCURRENCE  reviews that one occurrence over many groups makes, at most [default: 20000]
  ATTESTRY_PG_BINDIR       where the private PostgreSQL's programs are, if not found by themselves";

/// Access reviews for your own directory, wire-compatible with Microsoft Graph v1.0.
///
/// `attestry demo` shows everything in one go. Without ATTESTRY_DATABASE_URL every command works on a private PostgreSQL
/// under ATTESTRY_DATA_DIR, which a running `serve` or `demo` shares with it.
#[derive(Parser)]
#[command(name = "attestry", version, max_term_width = 120, after_long_help = ENVIRONMENT)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Show a running review: a private PostgreSQL, a made-up company, a three-stage review, tokens and calls to copy
    Demo,
    /// Run the service until SIGINT or SIGTERM; several may run on one database
    Serve(ServeArguments),
    /// Bring the database's schema to what this program needs, and exit
    Migrate,
    /// Tenants: make one, or move a sandbox tenant's clock
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Token issuers: the OpenID providers whose tokens a tenant trusts
    #[command(subcommand)]
    Issuer(IssuerCommand),
    /// Review settings of a tenant: what it may choose
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Mail templates: what a tenant's mails say
    #[command(subcommand)]
    MailTemplate(MailTemplateCommand),
    /// Read directory objects from a file of one JSON object a line; all of it or nothing
    Import(ImportArguments),
    /// Print an access token of the built-in issuer, for development and tests (needs ATTESTRY_DEV_ISSUER=1)
    Token(TokenArguments),
    /// Print the API document (OpenAPI, JSON)
    Openapi,
}

#[derive(Args)]
struct ServeArguments {
    /// Migrate the database given by ATTESTRY_DATABASE_URL first; a private one is always migrated
    #[arg(long)]
    migrate: bool,
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Make a tenant and print it as JSON
    Create(TenantCreateArguments),
    /// Move a sandbox tenant's clock forward; returns once everything due by then is done
    Clock(TenantClockArguments),
}

#[derive(Args)]
struct TenantCreateArguments {
    /// Short name for the command line: lower-case letters, digits and hyphens
    #[arg(long)]
    slug: String,
    /// Name to show
    #[arg(long)]
    name: String,
    /// Let its clock be advanced; for demos and tests
    #[arg(long)]
    sandbox: bool,
}

#[derive(Args)]
struct TenantClockArguments {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
    /// How far, as an ISO 8601 duration such as P7D or PT1H
    #[arg(long, value_name = "DURATION")]
    advance: IsoDuration,
}

#[derive(Subcommand)]
enum IssuerCommand {
    /// Register an issuer and print it as JSON; the flags say the usual, a file says everything
    Add(IssuerAddArguments),
    /// Print the tenant's issuers as a JSON list
    List(IssuerTenant),
    /// Print one issuer as JSON
    Show(IssuerArguments),
    /// Remove an issuer and print what it was; its tokens stop counting within a second
    Remove(IssuerArguments),
    /// Fetch an issuer's keys as the service would, and print what was found; with --token say whom a token names
    Test(IssuerTestArguments),
}

#[derive(Args)]
struct IssuerTenant {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
}

#[derive(Args)]
struct IssuerArguments {
    #[command(flatten)]
    tenant: IssuerTenant,
    /// Address or id of the issuer
    issuer: String,
}

#[derive(Args)]
struct IssuerAddArguments {
    #[command(flatten)]
    tenant: IssuerTenant,
    /// All of it as JSON, as `issuer show` prints it; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["issuer", "audiences", "user", "grants", "discovery_url", "algorithms", "name"])]
    file: Option<PathBuf>,
    /// The exact `iss` of its tokens
    #[arg(long, value_name = "URL", required_unless_present = "file")]
    issuer: Option<String>,
    /// The `aud` of tokens for this service. Any number
    #[arg(long = "audience", value_name = "AUDIENCE", required_unless_present = "file")]
    audiences: Vec<String>,
    /// Name to show
    #[arg(long)]
    name: Option<String>,
    /// Where the discovery document is, if not below the issuer
    #[arg(long, value_name = "URL")]
    discovery_url: Option<String>,
    /// Algorithm to accept [default: RS256, PS256, ES256]. Any number
    #[arg(long = "algorithm", value_name = "ALGORITHM")]
    algorithms: Vec<String>,
    /// Which claim names a user and what it matches: id, userPrincipalName or mail. Entra's need not be told
    #[arg(long, num_args = 2, value_names = ["CLAIM", "MATCHES"])]
    user: Option<Vec<String>>,
    /// A value of a claim gives a directory role, delegated:PERMISSION (to users) or application:PERMISSION. Any number
    #[arg(long = "grant", num_args = 3, value_names = ["CLAIM", "VALUE", "GIVES"])]
    grants: Vec<String>,
}

#[derive(Args)]
struct IssuerTestArguments {
    #[command(flatten)]
    issuer: IssuerArguments,
    /// A file with a token, or - for standard input
    #[arg(long, value_name = "FILE")]
    token: Option<PathBuf>,
}

#[derive(Subcommand)]
enum SettingsCommand {
    /// Print the settings as JSON
    Show(SettingsShowArguments),
    /// Change what is given, and print the settings as JSON
    Set(SettingsSetArguments),
}

#[derive(Args)]
struct SettingsShowArguments {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
}

#[derive(Args)]
struct SettingsSetArguments {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
    /// Whether owners of a group create and manage the reviews of it: true or false
    #[arg(long, value_name = "BOOLEAN")]
    group_owners_may_review: Option<bool>,
}

#[derive(Subcommand)]
enum MailTemplateCommand {
    /// Print the templates of all seven mails as a JSON list, with the names they may use
    List(MailTemplateTenant),
    /// Print the template of one mail as JSON
    Show(MailTemplateArguments),
    /// Write a mail oneself, from files; what is left out is the built-in one's
    Set(MailTemplateSetArguments),
    /// Go back to the built-in mail
    Remove(MailTemplateArguments),
}

#[derive(Args)]
struct MailTemplateTenant {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
}

#[derive(Args)]
struct MailTemplateArguments {
    #[command(flatten)]
    tenant: MailTemplateTenant,
    /// reviewStarted, stageStarted, reviewerAdded, reminder, manualReminder, reviewCompleted or completedAdditional
    kind: String,
}

#[derive(Args)]
struct MailTemplateSetArguments {
    #[command(flatten)]
    template: MailTemplateArguments,
    /// All of it as JSON, as `mail-template show` prints it; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject", "text", "html"], required_unless_present_any = ["subject", "text", "html"])]
    file: Option<PathBuf>,
    /// The subject itself
    #[arg(long, value_name = "TEMPLATE")]
    subject: Option<String>,
    /// A file with the plain text
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// A file with the HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Args)]
struct ImportArguments {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
    /// The file, or - for standard input
    file: PathBuf,
}

#[derive(Args)]
struct TokenArguments {
    /// Slug or id of the tenant
    #[arg(long)]
    tenant: String,
    #[command(flatten)]
    subject: TokenSubject,
    /// For a user a directory role, such as "Global Administrator"; for an application a permission. Any number
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Delegated scope of a user's token [default: AccessReview.ReadWrite.All]. Any number
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// How long the token counts, such as 90s, 30m, 1h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h")]
    ttl: String,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct TokenSubject {
    /// User principal name or id of a user of the directory
    #[arg(long, value_name = "NAME-OR-ID")]
    user: Option<String>,
    /// Name or id of an application; one that the directory does not know gets an id made from its name
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = CommandLine::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Each cause once: some errors already tell theirs.
            let mut text = String::new();
            for cause in error.chain() {
                let cause = cause.to_string();
                if text.is_empty() {
                    text = cause;
                } else if !text.contains(&cause) {
                    text.push_str(": ");
                    text.push_str(&cause);
                }
            }
            eprintln!("attestry: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(CommandLine { command, flags }: CommandLine) -> anyhow::Result<()> {
    if matches!(command, Command::Openapi) {
        let document = api_document().to_pretty_json().context("the API document cannot be written as JSON")?;
        return print(&document);
    }
    let mut config = Config::read(&flags)?;
    if matches!(command, Command::Demo) {
        config.dev_issuer = true;
    }
    // One-off commands say what they do in their own words.
    let serves = matches!(command, Command::Demo | Command::Serve(_));
    let filter = if serves || config.log != DEFAULT_LOG { config.log.as_str() } else { "warn" };
    telemetry::log_to_stderr(filter, config.log_format == LogFormat::Json)?;
    if let Command::Token(_) = &command {
        token::require_development_issuer(&config)?;
    }

    let database = Database::open(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads can be had")?;
    let result = runtime.block_on(dispatch(command, &config, &database));
    // What still runs is work of nobody; the transactions it holds roll back.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    let released = database.release();
    result.and(released)
}

async fn dispatch(command: Command, config: &Config, database: &Database) -> anyhow::Result<()> {
    match command {
        Command::Demo => demo::run(config, database).await,
        Command::Serve(arguments) => serve::run(config, database, arguments.migrate).await,
        Command::Migrate => migrate::run(database).await,
        Command::Tenant(TenantCommand::Create(arguments)) => tenant::create(database, arguments).await,
        Command::Tenant(TenantCommand::Clock(arguments)) => clock::advance(config, database, arguments).await,
        Command::Issuer(command) => issuer::run(config, database, command).await,
        Command::Settings(command) => settings::run(config, database, command).await,
        Command::MailTemplate(command) => mail_template::run(config, database, command).await,
        Command::Import(arguments) => import::run(database, arguments).await,
        Command::Token(arguments) => token::run(config, database, arguments).await,
        Command::Openapi => Ok(()),
    }
}

/// Writes a line for programs to standard output. A reader who has left does not count as a failure of ours to tell.
fn print(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("standard output cannot be written")
}

/// The text of a file, or of standard input for `-`.
fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    match file == Path::new("-") {
        true => std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?,
        false => {
            let mut opened = std::fs::File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
            opened.read_to_string(&mut text).with_context(|| format!("{} cannot be read", file.display()))?
        }
    };
    Ok(text)
}
