//! A scene: a piece, the moment at which its session dies, and what must have come of it. It is a
//! value that both processes build from its name, so every scene is played for every death in the
//! same way, and compared with the same control.
//!
//! ```text
//! control   piece ───────────────────────────────────────► prompts ─╮
//! scene     piece ── until ── death, meanwhile ── then ──► prompts ─┴ the same, byte for byte
//! ```

use std::path::Path;

use futures_util::{FutureExt as _, future::BoxFuture};
use greenroom_actors::domain::{
    event::{Event, RestartCause},
    ids::SessionId,
};

use super::{
    agents, asleep,
    death::{Death, causes},
    models,
    play::{HERO, Meanwhile, Piece, Play, edits},
    quarantine, tools,
};

/// What is done, or looked at, in a play.
pub type Act = for<'a> fn(&'a Play) -> BoxFuture<'a, ()>;

/// How a session dies that is at work.
pub const AT_WORK: &[Death] = &[Death::Panic, Death::Kill];

/// A piece in which a session dies.
pub struct Scene {
    /// How the process that plays its first half finds it.
    pub name: &'static str,
    pub piece: Piece,
    /// The piece in which nothing holds anybody up, and the tool says itself what a session is to
    /// hear of it. None: the piece itself, played from beginning to end.
    pub control: Option<Piece>,
    pub deaths: &'static [Death],
    /// Plays until it is ready to die.
    pub until: Act,
    /// Who dies, from the log of the session that the piece is about.
    pub who: fn(&[Event]) -> Vec<SessionId>,
    /// What changes while it is dead.
    pub meanwhile: Meanwhile,
    /// What a person does afterwards.
    pub then: Act,
    /// How many of them the death of their process cuts off a call that runs: they say so in
    /// their log. Others have nothing to say; they wait for the same as before.
    pub cut_off: usize,
    /// Which of the control's prompts is sent twice.
    pub twice: Option<usize>,
    /// How often the tool ran in all, and how often the world was asked about it; none when this
    /// depends on the death.
    pub runs: Option<(usize, usize)>,
    /// What must be so at the end, besides the prompts.
    pub shows: Act,
}

impl Scene {
    /// A session at work that dies when it is ready, and nothing more.
    pub fn new(name: &'static str, piece: Piece, control: Piece, until: Act) -> Self {
        Self {
            name,
            piece,
            control: Some(control),
            deaths: AT_WORK,
            until,
            who: |_| vec![HERO],
            meanwhile: edits,
            then: nothing,
            cut_off: 1,
            twice: None,
            runs: Some((1, 0)),
            shows: nothing,
        }
    }

    /// Plays it for each death.
    pub async fn plays(self) {
        let folder = tempfile::tempdir().expect("a folder");
        let control = self.undisturbed(folder.path()).await;
        for death in self.deaths {
            println!("{}: {death:?}", self.name);
            let folder = tempfile::tempdir().expect("a folder");
            let play = death.comes_to(&self, folder.path()).await;
            (self.then)(&play).await;
            play.finishes().await;
            self.compares(&play, &control);
            self.says_why(&play).await;
            (self.shows)(&play).await;
        }
    }

    /// What the control asked, in a play that nobody disturbs.
    async fn undisturbed(&self, folder: &Path) -> Play {
        let play = match &self.control {
            Some(control) => {
                let play = Play::on(folder, control, None).await;
                play.begins().await;
                play
            }
            None => {
                let play = Play::on(folder, &self.piece, None).await;
                (self.until)(&play).await;
                (self.then)(&play).await;
                play
            }
        };
        play.finishes().await;
        play
    }

    /// Every restart stands in the log of whom it struck, with its cause.
    async fn says_why(&self, play: &Play) {
        let (mut panics, mut deaths) = (0, 0);
        let who = (self.who)(&play.events(HERO).await);
        for session in &who {
            for cause in causes(&play.events(*session).await) {
                match cause {
                    RestartCause::Panic { message } => panics += usize::from(message == "struck"),
                    RestartCause::Process => deaths += 1,
                }
            }
        }
        let (name, death) = (self.name, play.death);
        let killed = death == Some(Death::Kill);
        assert_eq!(deaths, if killed { self.cut_off } else { 0 }, "{name}, {death:?}");
        let struck = panics >= who.len();
        assert!(struck || death != Some(Death::Panic), "{name}: {panics} panics of {who:?}");
    }

    fn compares(&self, play: &Play, control: &Play) {
        let prompts = |play: &Play, session: SessionId| -> Vec<String> {
            play.recorder.sent(session).into_iter().map(|sent| sent.prompt).collect()
        };
        let mut asked = prompts(control, HERO);
        assert!(asked.len() > 1, "a control of one prompt shows little");
        if let Some(twice) = self.twice {
            asked.insert(twice, asked[twice].clone());
        }
        let (name, death) = (self.name, play.death);
        assert_eq!(prompts(play, HERO), asked, "{name}, {death:?}");
        for session in control.recorder.senders() {
            let (mut now, mut then) = (prompts(play, session), prompts(control, session));
            // Its agents may be cut off as well; what they send again is the same to the byte.
            now.dedup();
            then.dedup();
            assert_eq!(now, then, "{name}, {death:?}: {session}");
        }
        for session in play.recorder.senders() {
            let calls: Vec<u32> =
                play.recorder.sent(session).iter().map(|sent| sent.call.0).collect();
            let fresh = calls.windows(2).all(|two| two[0] < two[1]);
            assert!(fresh, "{name}, {death:?}: {session} made a call twice: {calls:?}");
        }
        if let Some(runs) = self.runs {
            let mut keys = play.runs();
            assert_eq!((keys.len(), play.probes().len()), runs, "{name}, {death:?}");
            keys.extend(play.probes());
            keys.dedup();
            assert!(keys.len() <= 1, "{name}, {death:?}: one call has one key: {keys:?}");
        }
    }
}

/// Nothing.
pub fn nothing(_play: &Play) -> BoxFuture<'_, ()> {
    std::future::ready(()).boxed()
}

/// The scene of this name.
pub fn called(name: &str) -> Scene {
    let all = [models::scenes(), tools::scenes(), agents::scenes(), asleep::scenes()];
    let all = all.into_iter().flatten().chain(quarantine::scenes());
    let mut found: Vec<Scene> = all.filter(|scene| scene.name == name).collect();
    assert_eq!(found.len(), 1, "scenes called {name:?}");
    found.remove(0)
}
