//! Each layer over the one before, with its origin; and what a project may not do.

use super::*;

/// A user's folder, a repository and a folder in it.
struct World {
    _temp: tempfile::TempDir,
    user: PathBuf,
    repository: PathBuf,
    inside: PathBuf,
}

impl World {
    fn new() -> Self {
        let temp = tempfile::tempdir().expect("a folder");
        let (user, repository) = (temp.path().join("user"), temp.path().join("repository"));
        let inside = repository.join("a/b");
        for folder in [&user, &inside, &repository.join(".git")] {
            fs::create_dir_all(folder).expect("a folder");
        }
        Self { _temp: temp, user, repository, inside }
    }

    fn user(&self, text: &str) {
        fs::write(self.user.join(FILE), text).expect("a file");
    }

    fn project(folder: &Path, text: &str) {
        fs::create_dir_all(folder.join(FOLDER)).expect("a folder");
        fs::write(folder.join(FOLDER).join(FILE), text).expect("a file");
    }

    fn find(&self, environment: Environment) -> Result<Settings, Mistakes> {
        let environment = Environment { settings: Some(self.user.clone()), ..environment };
        Settings::find(environment, &self.inside)
    }
}

#[test]
fn each_layer_lies_over_the_one_before_and_says_so() {
    let world = World::new();
    let store = |environment: Environment| world.find(environment).expect("right").store;
    let bare = store(Environment::default());
    assert_eq!(bare, Sourced::new("greenroom.db".into(), Origin::BuiltIn));

    world.user("store = \"/user.db\"\n");
    let user = store(Environment::default());
    assert_eq!(user.value, PathBuf::from("/user.db"));
    assert_eq!(user.origin, Origin::User(world.user.join(FILE)));

    World::project(&world.repository, "store = \"project.db\"\n");
    let project = store(Environment::default());
    assert_eq!(project.value, world.repository.join("project.db"), "relative to its folder");
    let environment = Environment { store: Some("env.db".into()), ..Environment::default() };
    let set = store(environment.clone());
    assert_eq!(set, Sourced::new("env.db".into(), Origin::Environment("GREENROOM_STORE")));

    let mut settings = world.find(environment).expect("right");
    settings.flag_store(Some("flag.db".into()));
    assert_eq!(settings.store, Sourced::new("flag.db".into(), Origin::Flag("--store")));
}

#[test]
fn rules_of_the_user_and_of_the_project_are_layers_of_their_own() {
    let world = World::new();
    world.user("agents = \"crew.toml\"\n[permissions]\nallow = [\"stamp\"]\n");
    World::project(&world.inside, "[permissions]\ndeny = [\"shell\"]\nask = [\"stamp\"]\n");
    let settings = world.find(Environment::default()).expect("right");
    assert_eq!(settings.rules.user.allow.len(), 1);
    assert_eq!((settings.rules.project.deny.len(), settings.rules.project.ask.len()), (1, 1));
    let rows: Vec<String> =
        settings.rows().iter().map(|row| format!("{}={}", row.key, row.value)).collect();
    let crew = world.user.join("crew.toml");
    let expected = [
        "store=greenroom.db".to_owned(),
        format!("agents={}", crew.display()),
        "permissions.allow=stamp".to_owned(),
        "permissions.deny=shell".to_owned(),
        "permissions.ask=stamp".to_owned(),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_projects_file_may_only_tighten() {
    let world = World::new();
    let text =
        "agents = \"x\"\nlog = \"off\"\nstore = \"../x\"\n[permissions]\nallow = [\"shell\"]\n";
    World::project(&world.repository, text);
    let mistakes = world.find(Environment::default()).expect_err("refused").to_string();
    assert!(mistakes.contains("has 4 mistakes"), "{mistakes}");
    let last = "config.toml:5:9: a project sets `permissions.allow`\n  5 | allow = [\"shell\"]\n    |         \
                ^^^^^^^^^ expected it in your own settings: a project's file may only tighten";
    assert!(mistakes.ends_with(last), "{mistakes}");
}

#[test]
fn the_nearest_project_counts_and_nothing_above_the_repository_does() {
    let world = World::new();
    let above = world.repository.parent().expect("a folder").to_owned();
    World::project(&above, "store = \"above.db\"\n");
    let store = || world.find(Environment::default()).expect("right").store.value;
    assert_eq!(store(), PathBuf::from("greenroom.db"));
    World::project(&world.repository, "store = \"root.db\"\n");
    assert_eq!(store(), world.repository.join("root.db"));
    World::project(&world.inside, "store = \"near.db\"\n");
    assert_eq!(store(), world.inside.join("near.db"));
    fs::remove_dir_all(world.repository.join(".git")).expect("it is there");
    fs::remove_dir_all(world.inside.join(FOLDER)).expect("it is there");
    assert_eq!(store(), PathBuf::from("greenroom.db"), "outside a repository only here counts");
}

#[test]
fn a_file_that_is_wrong_or_cannot_be_read_is_refused() {
    let world = World::new();
    world.user("stor = \"x\"\n");
    let mistakes = world.find(Environment::default()).expect_err("refused").to_string();
    assert!(mistakes.contains("did you mean \"store\"?"), "{mistakes}");
    fs::remove_file(world.user.join(FILE)).expect("it is there");
    fs::create_dir(world.user.join(FILE)).expect("a folder in its place");
    let mistakes = world.find(Environment::default()).expect_err("refused").to_string();
    assert!(mistakes.starts_with("read ") && mistakes.contains("directory"), "{mistakes}");
}

#[test]
fn rules_are_relative_to_home_the_users_settings_and_the_project() {
    let world = World::new();
    world.user("store = \"/user.db\"\n");
    World::project(&world.repository, "store = \"project.db\"\n");
    let environment = Environment { home: Some("/home/u".into()), ..Environment::default() };
    let places = world.find(environment).expect("right").places();
    let text = |folder: &Path| folder.to_str().map(str::to_owned);
    assert_eq!(places.home.as_deref(), Some("/home/u"));
    assert_eq!(places.user, text(&world.user));
    assert_eq!(places.project, text(&world.repository));
}

#[test]
fn the_users_fence_begins_where_somebody_works_and_the_projects_at_the_project() {
    let world = World::new();
    world.user("[permissions]\nroots = [\".\", \"~/notes\"]\nreadable = [\"/usr\"]\n");
    World::project(&world.repository, "[permissions]\nroots = [\"src\"]\nreadable = [\"/opt\"]\n");
    let settings = world.find(Environment::default()).expect("right");
    let places = settings.places();
    assert_eq!(places.bounds.roots, [".", "~/notes"]);
    assert_eq!(places.bounds.readable, ["/usr"]);
    let source = world.repository.join("src");
    assert_eq!(places.narrowed.roots, [source.to_str().expect("text")]);
    assert_eq!(places.narrowed.readable, ["/opt"]);
    let rows = settings.rows();
    let keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
    let fence = ["permissions.roots", "permissions.readable"];
    assert_eq!(keys, [["store"].as_slice(), &fence[..1], &fence, &fence].concat());

    World::project(&world.repository, "[permissions]\nroots = [\"../x\"]\n");
    let mistakes = world.find(Environment::default()).expect_err("refused").to_string();
    assert!(mistakes.contains("\"../x\" is no folder"), "{mistakes}");
}

#[test]
fn ways_for_questions_are_the_users_and_a_project_has_none() {
    let world = World::new();
    assert_eq!(world.find(Environment::default()).expect("right").approvals(), None);
    world.user(
        "[approvals]\nfolder = \"asked\"\nparent = true\n[approvals.webhook]\n\
         url = \"https://me:hush@hook.example/T0KEN\"\napi_key_env = \"HOOK_KEY\"\n",
    );
    let settings = world.find(Environment::default()).expect("right");
    let (ways, folder) = settings.approvals().expect("some");
    assert_eq!((ways.folder.as_deref(), ways.parent), (Some(Path::new("asked")), true));
    assert_eq!(folder, world.user);
    let rows: Vec<String> =
        settings.rows().iter().map(|row| format!("{} {}", row.key, row.value)).collect();
    let rows = rows.join("\n");
    assert!(rows.contains("approvals.folder asked\napprovals.webhook "), "{rows}");
    assert!(rows.contains("hook.example") && rows.contains("approvals.parent true"), "{rows}");
    assert!(!rows.contains("T0KEN") && !rows.contains("hush"), "{rows}");

    World::project(&world.inside, "[approvals]\nfolder = \"mine\"\n");
    let told = world.find(Environment::default()).expect_err("a mistake").to_string();
    assert!(told.contains("a project sets `approvals`") && told.contains("only tighten"), "{told}");
}
