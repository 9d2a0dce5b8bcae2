//! `greenroom serve`: the agents of a file as a service, until somebody ends it. It prints where it
//! listens and the token that lets in; other commands on the same machine find both beside the store,
//! in a file that only its owner can read.

mod ticket;

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf};

use clap::Args;
use greenroom_actors::{
    domain::ids::PrincipalId,
    runtime::{Ended, Places},
};
use secrecy::ExposeSecret as _;

use crate::{
    app::{self, App, Config},
    config::Settings,
    http::{BadToken, Face, FaceOptions, Scope, ServeError, Served, Token, USUAL},
};

use super::{
    CliError, Done, OnStore,
    ending::{Disk, Signals, Wish, stopped},
    run::{RunError, only_ours},
    screen::Screen,
    trace::TraceTo,
};

pub(super) use ticket::Ticket;

/// `greenroom serve`.
#[derive(Args, Debug)]
pub(super) struct ServeArgs {
    /// The agents file [default: as set]
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,
    /// Where to listen; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS", default_value_t = USUAL)]
    listen: SocketAddr,
    /// Listen where other machines can reach it; needs --token-env
    #[arg(long, requires = "token_env")]
    openly: bool,
    /// One more name it may be called by, as a browser writes it
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// A variable of the environment that holds the token, in place of a fresh one
    #[arg(long, value_name = "VARIABLE")]
    token_env: Option<String>,
    /// One more token: NAME=VARIABLE=SCOPES[=TENANT], such as ci=CI_TOKEN=read,act
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<String>,
    #[command(flatten)]
    traces: TraceTo,
    #[command(flatten)]
    on: OnStore,
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServingError {
    /// A token.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// Nothing in the environment.
    #[error("take the token from {name}: the environment has no such variable")]
    NoVariable { name: String },
    /// A grant that is not understood.
    #[error(
        "read --grant {text:?}: expected NAME=VARIABLE=SCOPES[=TENANT], each name once, with scopes of read, act, approve, admin"
    )]
    Grant { text: String },
    /// The address.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The file beside the store.
    #[error("write {} for the other commands", path.display())]
    Ticket {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Who the printed token stands for in the logs.
const OPERATOR: &str = "operator";

pub(super) async fn run(
    args: ServeArgs,
    settings: &Settings,
    screen: &Screen,
) -> Result<Done, CliError> {
    let store = args.on.path(settings);
    let file = args.agents.clone();
    let file = file.or_else(|| settings.agents.as_ref().map(|agents| agents.value.clone()));
    let file = file.ok_or(RunError::NoAgents)?;
    let crew = app::crew(&file, &store, &settings.environment)?;
    crew.ready()?;
    let mut config = crew.config;
    only_ours(&store, &config.agents, &file).await?;
    config.options.layers = settings.rules.clone();
    let workspace = config.options.places.workspace.take();
    config.options.places = Places { workspace, ..settings.places() };
    let (token, options) = tokens(&args, settings, &config)?;
    // Commands on this machine have one of their own: what somebody declared stays where it was.
    let own = Token::fresh().map_err(ServingError::from)?;
    let options = options.token(own.admin(PrincipalId::from(OPERATOR)));
    config.secrets.learn(token.reveal());
    config.secrets.learn(own.reveal());
    let mut signals = Signals::listen();
    config.traces = args.traces.wanted();
    config.exports.collector = settings.environment.collector()?;
    let app = App::start(config).await?;
    let mut disk = Disk::watch(app.hindrance());
    if let Some(stopped) = super::halt::remark(&app, &store) {
        Screen::remark(&stopped);
    }
    let options = FaceOptions { custody: app.custody(), ..options };
    let face = Face::new(app.runtime(), options);
    let result =
        serving(&face, (&token, &own), (&args, store), (&mut signals, &mut disk), screen).await;
    if matches!(result, Ok(Done::Well)) {
        Screen::remark("ending in order (again to end at once)");
    }
    signals.let_end(app).await;
    result
}

/// Serves until a signal or the runtime's end.
async fn serving(
    face: &Face,
    (token, own): (&Token, &Token),
    (args, store): (&ServeArgs, PathBuf),
    (signals, disk): (&mut Signals, &mut Disk),
    screen: &Screen,
) -> Result<Done, CliError> {
    let served: Served = face.serve(args.listen, args.openly).await.map_err(ServingError::from)?;
    let url = format!("http://{}", served.address());
    // Everywhere is no address to call; here is one.
    let mut near = served.address();
    if near.ip().is_unspecified() {
        near.set_ip(USUAL.ip());
    }
    let near = format!("http://{near}");
    let ticket = Ticket::new(&store, &near, own.reveal());
    let written = ticket.write();
    let path = Ticket::path(&store);
    let _beside = written.map_err(|source| ServingError::Ticket { path, source })?;
    Screen::print(&format!("listening on {url}"))?;
    // Its own word was not printed before, so nobody else need read it here.
    if args.token_env.is_none() {
        Screen::reveal(&format!("token {}", token.reveal()))?;
        Screen::reveal(&format!("page {url}/#token={}", token.reveal()))?;
    }
    let stop = screen.paint_remark(
        super::screen::Tone::Faint,
        "Ctrl-C ends it; what is in hand goes on with the next start",
    );
    Screen::remark(&stop);
    let ended = loop {
        tokio::select! {
            biased;
            wish = signals.next() => match wish {
                Wish::Interrupt | Wish::End => break None,
            },
            why = face.ended() => break Some(why),
            trouble = disk.next() => Screen::remark(&trouble),
        }
    };
    served.end().await;
    match ended {
        None | Some(Ended::Asked) => Ok(Done::Well),
        Some(why) => Err(CliError::Stopped { why: stopped(&why) }),
    }
}

/// The token of whoever starts it, and everybody that is let in.
fn tokens(
    args: &ServeArgs,
    settings: &Settings,
    config: &Config,
) -> Result<(Token, FaceOptions), ServingError> {
    let find = |name: &str| {
        let found = settings.environment.variables.find(name);
        found.ok_or_else(|| ServingError::NoVariable { name: name.to_owned() })
    };
    let token = match &args.token_env {
        Some(name) => Token::given(find(name)?.expose_secret())?,
        None => Token::fresh()?,
    };
    let mut options = FaceOptions::default().token(token.admin(PrincipalId::from(OPERATOR)));
    options.hosts.clone_from(&args.hosts);
    options.tenant = app::TENANT.into();
    let mut names = BTreeSet::new();
    for text in &args.grants {
        let wrong = || ServingError::Grant { text: text.clone() };
        let mut parts = text.split('=');
        let (Some(name), Some(variable), Some(scopes)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let of = |word: &str| Scope::ALL.into_iter().find(|scope| scope.word() == word.trim());
        let scopes: Option<Vec<Scope>> = scopes.split(',').map(of).collect();
        let value = find(variable)?;
        config.secrets.learn(value.expose_secret());
        let given = Token::given(value.expose_secret())?;
        let mut grant = given.grant(name, scopes.ok_or_else(wrong)?);
        let is_taken = name.is_empty() || name == OPERATOR || !names.insert(name);
        let tenant = parts.next();
        if is_taken || tenant == Some("") || parts.next().is_some() {
            return Err(wrong());
        }
        if let Some(tenant) = tenant {
            grant = grant.tenant(tenant);
        }
        options = options.token(grant);
    }
    Ok((token, options))
}
