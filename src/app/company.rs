//! The company of the demo: a director and eight trades before a premiere, on a scripted model. Two
//! of the trades lose their model's task to a panic, at moments drawn from a seed. The script is a
//! function of the seed, so that a demo that was killed is answered alike when it starts again.

use std::{fmt::Write as _, path::Path, sync::Arc};

use futures_util::future::BoxFuture;
use greenroom_actors::{
    domain::{
        agent::{AgentSpec, Role},
        budget::Budget,
        ids::{PoolKind, Timestamp},
        permission::RulePattern,
        tool::{Args, EffectClass, Output, ToolOutcome, ToolSpec},
        usage::{DatedPrice, NanoUsd, Price, PriceBook},
    },
    ports::{Clock, Tool, ToolCtx},
};

use super::{Config, clock};

mod sheet;

use sheet::CallSheet;
pub use sheet::sheet;

/// The agent that leads.
pub const LEAD: &str = "director";
/// Whose data a demo's sessions are; tells them from anybody else's in the same store.
pub const COMPANY_TENANT: &str = "greenroom-demo";
/// How long a demo may take: it needs some four seconds, on a machine that is busy ten times that.
pub const COMPANY_TURN_MS: u64 = 120_000;

const MODEL: &str = "scripted";
const BOOK: &str = "prompt_book";
/// The tool with which each trade signs the call sheet, once.
pub const SHEET: &str = "call_sheet";
/// How long a page is searched for.
const PAGE_MS: u64 = 180;
/// Each trade: its name, what it looks up, what it reports.
const TRADES: [(&str, &str, &str); 8] = [
    ("lights", "lamps of act one", "Forty-two lamps hang, the blue ones first."),
    ("sound", "thunder, storm scene", "Thunder is on the left speaker and rolls to the right."),
    ("costumes", "size of the king's coat", "The coat is taken in; the buttons hold."),
    ("props", "the letter", "The letter is sealed, and a second one lies ready."),
    ("scenery", "height of the balcony", "The balcony carries two, and creaks when it should."),
    ("music", "key of the overture", "The overture is in D; the horns have been told."),
    ("prompter", "longest monologue", "I sit on the left with the third act open."),
    ("front", "seats sold", "All seats are sold but one, which is kept for the ghost."),
];

/// Everything a demo runs on.
#[must_use]
pub fn company(store: &Path, seed: u64) -> Config {
    let mut config = Config::new(store);
    config.script = Some(script(seed));
    let trades = TRADES.iter().map(|(name, ..)| specialist(name));
    config.agents = std::iter::once(director()).chain(trades).collect();
    let signs = CallSheet { sheet: sheet(store), clock: clock() };
    config.tools = vec![Arc::new(PromptBook { clock: clock() }), Arc::new(signs)];
    // The figures of a mid-sized vendor model: $3 in, $15 out per million tokens.
    let price =
        Price { input: 3_000_000, cache_read: 300_000, cache_write: 3_750_000, output: 15_000_000 };
    let since = Timestamp(0);
    config.prices = PriceBook(vec![DatedPrice { model: MODEL.into(), since, price, long: None }]);
    config
}

fn director() -> AgentSpec {
    let mut agent = specialist(LEAD);
    agent.role = Role::Coordinator;
    agent.tools.clear();
    agent.routes = TRADES.iter().map(|(name, ..)| (*name).into()).collect();
    agent.instructions = "You direct a premiere. Send everybody to work, then wait.".to_owned();
    agent.budget = Budget { nano_usd: Some(NanoUsd(500_000_000)), ..Budget::default() };
    agent
}

fn specialist(name: &str) -> AgentSpec {
    let mut agent = AgentSpec::new(name, MODEL);
    agent.instructions = format!("You are responsible for the {name}. Look it up, then report.");
    for tool in [BOOK, SHEET] {
        agent.tools.insert(tool.into(), std::collections::BTreeMap::new());
        agent.authority.rules.allow.push(RulePattern(tool.to_owned()));
    }
    agent.sampling.output_tokens_max = Some(256);
    agent.limits.turn_ms = COMPANY_TURN_MS;
    agent
}

fn script(seed: u64) -> String {
    let mut dice = Dice(seed);
    let count = TRADES.len() as u64;
    let first = dice.below(count);
    let second = (first + 1 + dice.below(count - 1)) % count;
    let mut text = format!("agent {LEAD}\n  stream 16 every 20ms\n  say Places, please.\n");
    for (name, what, _) in TRADES {
        // Writing to a text cannot fail.
        let _written = writeln!(
            text,
            "  call spawn_agent {{\"agent\": \"{name}\", \"task\": \"Is everything ready? Check: {what}.\"}}"
        );
    }
    text += " then\n  call await_agents {}\n";
    text +=
        " then\n  stream 12 every 30ms\n  say All eight are ready. House to half, curtain up.\n";
    for (no, (name, what, report)) in (0_u64..).zip(TRADES) {
        let unlucky = no == first || no == second;
        let in_first_step = dice.below(2) == 0;
        let mut panic = |here: bool| {
            if unlucky && here {
                format!("  wait {}ms\n  first 1 panic {name} fell off a ladder\n", dice.below(400))
            } else {
                String::new()
            }
        };
        let (before, after) = (panic(in_first_step), panic(!in_first_step));
        let (start, pace) = (100 + dice.below(900), 30 + dice.below(60));
        let _written = write!(
            text,
            "agent {name}\n  wait {start}ms\n{before}  think Where did I write that down?\n  call \
             {BOOK} {{\"what\": \"{what}\"}}\n  call {SHEET} {{\"who\": \"{name}\"}}\n then\n  stream 6 every {pace}ms\n{after}  say \
             {report}\n"
        );
    }
    text
}

/// Numbers from a seed: SplitMix64, which needs nothing and repeats everywhere.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

/// A text among a tool's arguments.
fn text_in(args: &Args, key: &str) -> Option<String> {
    Some(args.object().ok()?.get(key)?.as_str()?.to_owned())
}

/// A tool that reads: it may be run again freely.
struct PromptBook {
    clock: Arc<dyn Clock>,
}

impl Tool for PromptBook {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: BOOK.into(),
            description: "Look something up in the prompt book.".to_owned(),
            schema:
                r#"{"type":"object","properties":{"what":{"type":"string"}},"required":["what"]}"#
                    .to_owned(),
            effect: EffectClass::Pure,
            pool: PoolKind::from("books"),
        }
    }

    fn run(&self, _ctx: ToolCtx, args: Args) -> BoxFuture<'static, ToolOutcome> {
        let clock = Arc::clone(&self.clock);
        Box::pin(async move {
            clock.after(PAGE_MS).await;
            match text_in(&args, "what") {
                Some(what) => {
                    let output = Output::text(format!("{what}: see page {}", 7 + what.len()));
                    ToolOutcome::Done { output }
                }
                None => {
                    let output = Output::text("prompt_book: say `what` to look up, as a text");
                    ToolOutcome::Failed { output }
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use greenroom_actors::scripted::ScriptedModel;

    use super::*;

    #[test]
    fn every_seed_gives_a_script_that_can_be_read_and_two_panics() {
        for seed in 0..200 {
            let text = script(seed);
            assert!(ScriptedModel::parse(&text).is_ok(), "seed {seed}:\n{text}");
            assert_eq!(text.matches("first 1 panic").count(), 2, "seed {seed}:\n{text}");
            assert_eq!(text, script(seed));
        }
        assert_ne!(script(1), script(2));
    }
}
