//! The rounds: which commands are allowed and tried, on how many starters at once, and the report.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

use greenroom::config::PolicyFile;
use greenroom_actors::{
    domain::{
        permission::{Decision, Request, RulePattern},
        tool::Args,
    },
    policy::foresight::{Foreseen, Foretold, How, foretell},
    runtime::{Desk, Layers, Places, Policy, Standing, decide},
};

use super::{
    Plan,
    calls::Act,
    generate::Generator,
    judge::Judge,
    stage,
    starter::PATH,
    trace::{Deed, Watched},
};

/// The commands that stand one on each line, `\n` in a here-document being a new line.
const EVERYDAY: &str = include_str!("../fixtures/permission/everyday.txt");
/// Candidates for each command that is tried, at most: of fewer the generator has gone astray.
const CANDIDATES: usize = 12;
/// Surprises that are shown.
const SHOWN: usize = 60;

/// What allows commands here: the everyday policy, every program of the table, and writing in `out`.
struct Law {
    policy: Policy,
    cwd: String,
}

impl Law {
    fn new(stage: &Path, programs: impl Iterator<Item = &'static str>) -> io::Result<Self> {
        let path = format!("{}/examples/permissions/everyday.toml", env!("CARGO_MANIFEST_DIR"));
        let mut file = PolicyFile::read(path.as_ref()).map_err(io::Error::other)?;
        let allow = programs.map(|program| format!("Bash({program} *)"));
        file.rules.allow.extend(allow.chain(["Edit(./out/**)".to_owned()]).map(RulePattern));
        let cwd = stage.join("ws").display().to_string();
        let home = Some(stage.join("home").display().to_string());
        let places = file.places(Places { home, ..Places::default() }, &cwd);
        let layers = Layers { user: file.rules, ..Layers::default() };
        let policy = Policy::compile(&layers, Desk::Staffed).map_err(io::Error::other)?;
        Ok(Self { policy: policy.at(places), cwd })
    }

    fn decides(&self, tool: &str, args: &serde_json::Value) -> Decision {
        let standing = Standing::new(&[]);
        let cwd = Some(self.cwd.clone());
        let request = Request { tool: tool.into(), args: Args(args.to_string()), cwd };
        decide(&self.policy, &standing, &request).decision
    }

    fn allows(&self, command: &str) -> bool {
        self.decides("shell", &serde_json::json!({ "command": command })) == Decision::Allow
    }

    fn keeps(&self, path: &Path) -> bool {
        let path = serde_json::json!({ "path": path });
        path.to_string().contains("/ws/") && self.decides("read_file", &path) == Decision::Deny
    }
}

/// Tries as many commands as the plan says; how many did what was not foreseen.
pub(crate) fn run(plan: Plan) -> io::Result<usize> {
    let folder = tempfile::tempdir()?;
    let stage = stage::make(folder.path())?;
    let has = |program: &str| {
        let builtin = ["type", "help", "read", ":", "echo", "printf", "pwd", "true", "false"];
        let there = |folder: &str| Path::new(folder).join(program).exists();
        builtin.contains(&program) || PATH.split(':').any(there)
    };
    let mut generator = Generator::new(plan.seed, has);
    let law = Law::new(&stage, generator.programs())?;
    let commands = commands(plan, &law, &mut generator, has)?;
    check_itself(&stage)?;
    println!("oracle: not on this machine and not tried: {:?}", generator.lacking);
    let at_once = thread::available_parallelism().map_or(2, usize::from).min(8);
    let report = Mutex::new(Report::default());
    thread::scope(|scope| {
        let parts = commands.chunks(commands.len().div_ceil(at_once));
        let (stage, law, report) = (&stage, &law, &report);
        let runs: Vec<_> =
            parts.map(|part| scope.spawn(move || look(part, stage, law, report))).collect();
        runs.into_iter().try_for_each(|run| {
            run.join().unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))
        })
    })?;
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.tell(plan)
}

/// Everyday ones first, then generated ones, all of them allowed.
fn commands(
    plan: Plan,
    law: &Law,
    generator: &mut Generator,
    has: impl Fn(&str) -> bool,
) -> io::Result<Vec<String>> {
    let known: Vec<&str> = generator.programs().collect();
    let everyday = EVERYDAY.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let own = |line: &&str| {
        let program = line.split(' ').next().unwrap_or_default();
        known.contains(&program) && has(program) && !["sleep 1", "git help log"].contains(line)
    };
    let everyday = everyday.filter(own).map(|line| line.replace("\\n", "\n"));
    let mut all: Vec<String> =
        everyday.filter(|command| law.allows(command)).take(plan.commands).collect();
    for _ in 0..plan.commands.saturating_mul(CANDIDATES) {
        if all.len() >= plan.commands {
            return Ok(all);
        }
        let command = generator.command();
        if law.allows(&command) {
            all.push(command);
        }
    }
    Err(io::Error::other(format!("only {} of the commands made are allowed", all.len())))
}

#[derive(Debug, Default)]
struct Report {
    commands: usize,
    /// Kept files that were read because all below a folder was.
    swept: usize,
    /// Files of the stage that were used by way of a link: rules go by names, and where links lead is
    /// for custody to see.
    led: usize,
    /// Commands that were ended before they were over.
    cut_short: usize,
    deeds: BTreeMap<&'static str, usize>,
    surprises: Vec<(String, Vec<String>)>,
}

fn look(part: &[String], stage: &Path, law: &Law, report: &Mutex<Report>) -> io::Result<()> {
    let mut watched = Watched::start(stage)?;
    for command in part {
        let told = foretell(command, &law.cwd);
        let deeds = watched.run(command)?;
        let judge = Judge::new(stage, &told);
        let (mut surprises, mut swept) = (judge.surprises(&deeds), 0);
        for deed in &deeds {
            if let Act::Read(path) = &deed.act
                && path.is_file()
                && law.keeps(path)
            {
                if judge.is_swept(&deed.by, path) {
                    swept += 1;
                } else {
                    let path = path.display();
                    surprises.push(format!("{} reads {path}, which is denied", deed.by));
                }
            }
        }
        let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
        report.commands += 1;
        report.swept += swept;
        report.cut_short += std::mem::take(&mut watched.cut_short);
        for deed in &deeds {
            *report.deeds.entry(kind(&deed.act)).or_default() += 1;
            let led = deed.real.as_ref().is_some_and(|real| led_away(stage, deed, real));
            report.led += usize::from(led);
        }
        if !surprises.is_empty() {
            report.surprises.push((command.clone(), surprises));
        }
    }
    Ok(())
}

fn led_away(stage: &Path, deed: &Deed, real: &Path) -> bool {
    matches!(&deed.act, Act::Read(path) | Act::Write(path) if path.starts_with(stage))
        && real.starts_with(stage)
}

const fn kind(act: &Act) -> &'static str {
    match act {
        Act::Read(_) => "reads",
        Act::Try(_) => "tries",
        Act::Write(_) => "writes",
        Act::Run(_) => "programs",
        Act::Speak(_) | Act::Reach(_) => "sockets",
        Act::Unseen(_) => "unseen",
    }
}

impl Report {
    fn tell(&self, plan: Plan) -> io::Result<usize> {
        for (command, surprises) in self.surprises.iter().take(SHOWN) {
            println!("{command:?}");
            for surprise in surprises {
                println!("    {surprise}");
            }
        }
        let Self { commands, swept, led, cut_short, deeds, surprises } = self;
        println!("oracle: {led} files by way of a link; {cut_short} commands ended early");
        println!("oracle: seed {}, {deeds:?}; {swept} kept files read below a folder", plan.seed);
        println!("{commands} commands, {} surprises", surprises.len());
        for kind in ["reads", "programs"] {
            // Hardly any command runs nothing and reads nothing, or nobody has looked.
            if deeds.get(kind).is_none_or(|count| *count < commands / 2) {
                return Err(io::Error::other(format!("hardly any {kind} were seen")));
            }
        }
        Ok(surprises.len())
    }
}

/// Predictions that are wrong must be found out, each in its own way.
fn check_itself(stage: &Path) -> io::Result<()> {
    let mut watched = Watched::start(stage)?;
    let told = |programs: &[&str], files: &[(&str, How)]| Foretold {
        programs: programs.iter().map(|program| (*program).to_owned()).collect(),
        files: files
            .iter()
            .map(|(path, how)| Foreseen {
                how: *how,
                path: stage.join("ws").join(path).display().to_string(),
            })
            .collect(),
        doubts: Vec::new(),
    };
    let cases = [
        ("cat a.txt", told(&["cat"], &[("a.txt", How::Read)]), None),
        ("cat a.txt", told(&["cat"], &[("b.txt", How::Read)]), Some("reads")),
        // The name of a file, taken for a pattern: found out whether there is such a file or not.
        ("grep -e a none.txt", told(&["grep"], &[]), Some("tries")),
        ("cat a.txt", told(&["tac"], &[("a.txt", How::Read)]), Some("runs")),
        ("(cat a.txt &)", told(&["tac"], &[("a.txt", How::Read)]), Some("runs")),
        ("echo a > out/x", told(&[], &[("out/x", How::Written)]), None),
        ("echo a > out/x", told(&[], &[("out/x", How::Read)]), Some("writes")),
        ("rm -f out/x", told(&["rm"], &[("out/x", How::Read)]), Some("writes")),
        (
            "mv out/old out/new; mv out/new out/old",
            told(&["mv"], &[("out/old", How::Written)]),
            Some("writes"),
        ),
        ("cat ../beside/secret.txt", told(&["cat"], &[("*", How::Read)]), Some("reads")),
        ("cd src; cat ../a.txt", told(&["cat"], &[("a.txt", How::Read)]), None),
        ("cat /etc/passwd", told(&["cat"], &[]), Some("reads")),
        ("cat /proc/self/cwd/b.txt", told(&["cat"], &[("a.txt", How::Read)]), Some("reads")),
        ("cat far", told(&["cat"], &[("a.txt", How::Read)]), Some("which is")),
        ("git hash-object .env", told(&["git"], &[]), Some("reads")),
        ("touch -h -d 2024-01-01 a.txt", told(&["touch"], &[("a.txt", How::Read)]), Some("writes")),
        ("ln -f a.txt out/b", told(&["ln"], &[("out/b", How::Written)]), Some("reads")),
        ("echo a > /dev/udp/127.0.0.1/9", told(&[], &[]), Some("socket")),
    ];
    for (command, told, want) in cases {
        let found = Judge::new(stage, &told).surprises(&watched.run(command)?);
        let fits = match want {
            None => found.is_empty(),
            Some(word) => found.iter().any(|surprise| surprise.contains(word)),
        };
        if !fits {
            let text = format!("{command:?} should have shown {want:?}, and showed {found:?}");
            return Err(io::Error::other(text));
        }
    }
    Ok(())
}
