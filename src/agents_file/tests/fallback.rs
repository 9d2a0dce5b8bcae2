//! Models that answer where an agent's own cannot.

use super::{read, wrong};

const SPARES: &str = r#"
[models.spare]
provider = "scripted"
script = "s"

[models.last]
provider = "scripted"
script = "s"
"#;

#[test]
fn models_to_fall_back_to_are_kept_in_their_order_with_their_providers() {
    let agents = r#"
[agents.a]
instructions = "x"
model = "house"
fallback = ["spare", "last"]

[agents.b]
extends = "a"
model = "last"
fallback = ["house"]
"#;
    let file = read(&format!("{agents}{SPARES}")).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let shown = |at: usize| -> Vec<String> {
        file.agents[at].fallback.iter().map(ToString::to_string).collect()
    };
    assert_eq!(shown(0), ["spare at scripted/spare", "last at scripted/last"]);
    assert_eq!(shown(1), ["house at scripted/house"], "its own chain in place of the other's");
}

#[test]
fn a_fallback_to_nobody_to_itself_or_twice_is_refused() {
    wrong(
        &format!(
            r#"[agents.a]
instructions = "x"
model = "house"
fallback = ["spar", "house", "last", "last"]
{SPARES}"#
        ),
        r#"
f.toml:4:13: model "spar" does not exist
  4 | fallback = ["spar", "house", "last", "last"]
    |             ^^^^^^ expected one of "house", "last", "spare", from [models.NAME]
    = did you mean "spare"?
f.toml:4:21: model "house" is the agent's own
  4 | fallback = ["spar", "house", "last", "last"]
    |                     ^^^^^^^ expected another than it has
f.toml:4:38: `fallback` names "last" twice
  4 | fallback = ["spar", "house", "last", "last"]
    |                                      ^^^^^^ expected each once
"#,
    );
}

#[test]
fn a_chain_that_is_too_long_is_refused() {
    let models: String = (0..5)
        .map(|no| format!("[models.m{no}]\nprovider = \"scripted\"\nscript = \"s\"\n"))
        .collect();
    wrong(
        &format!(
            r#"[agents.a]
instructions = "x"
model = "house"
fallback = ["m0", "m1", "m2", "m3", "m4"]
{models}"#
        ),
        r#"
f.toml:4:12: 5 models to fall back to
  4 | fallback = ["m0", "m1", "m2", "m3", "m4"]
    |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected at most 4
"#,
    );
}

#[test]
fn a_fallback_without_a_price_under_a_budget_in_money_is_refused() {
    wrong(
        r#"[agents.a]
instructions = "x"
budget = { usd = 1 }
model = "priced"
fallback = ["house"]

[models.priced]
provider = "scripted"
script = "s"
price = { input = 3, output = 15 }
"#,
        r#"
f.toml:3:10: agent "a" has a budget in money, and model "house" of agent "a" has no price
  3 | budget = { usd = 1 }
    |          ^^^^^^^^^^^ expected [models.house.price], or a budget in tokens
"#,
    );
}
