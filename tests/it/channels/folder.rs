//! A folder: whole files or none, an answer only from who may, across kills.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use greenroom_actors::domain::ids::ApprovalNo;

use super::*;

pub const FIRST_HALF: &str = "a question lies in a folder";

fn questions(folder: &Path) -> PathBuf {
    folder.join("questions")
}

fn file(folder: &Path, id: ApprovalId, kind: &str) -> PathBuf {
    questions(folder).join(format!("{}-a{}.{kind}.json", id.session, id.no))
}

/// Puts an answer there as one should: beside its name first.
fn put(folder: &Path, row: &ApprovalRow, text: &str) {
    let (draft, name) = (questions(folder).join("mine"), file(folder, row.id, "answer"));
    fs::write(&draft, text).expect("write an answer");
    fs::rename(draft, name).expect("put it there");
}

/// Waits until the question lies there, and reads it.
async fn lies(folder: &Path, id: ApprovalId) -> serde_json::Value {
    let path = file(folder, id, "question");
    seen("the question lies there", || path.exists()).await;
    serde_json::from_slice(&fs::read(path).expect("read it")).expect("it is whole")
}

fn nothing_is_left(folder: &Path) -> bool {
    fs::read_dir(questions(folder)).expect("the folder").count() == 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_lies_in_a_folder_until_its_answer_lies_beside_it() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let path = folder.path();
    let runtime = house(path, &uses).question_folder(questions(path)).start().await.unwrap();
    let (session, turn) = pays(&runtime).await;
    let row = open(&runtime).await;
    let question = lies(path, row.id).await;
    assert_eq!(question["approval"], row.id.to_string());
    assert_eq!(question["digest"], row.ask.digest.0);
    assert_eq!(question["subject"]["request"]["tool"], "pay");
    let mode = fs::metadata(file(path, row.id, "question")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600, "it is nobody else's to read");
    assert_eq!(fs::metadata(questions(path)).unwrap().mode() & 0o777, 0o700);

    put(path, &row, &reply(&row, "edit", r#", "args": {"cents": 90}"#));
    assert_eq!(said(turn).await, "paid 90");
    assert_eq!(answered_by(&runtime, &session).await, ["file"]);
    seen("the folder is empty", || nothing_is_left(path)).await;
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_else_could_have_put_there_is_no_answer() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let path = folder.path();
    let runtime = house(path, &uses).question_folder(questions(path)).start().await.unwrap();
    let (session, turn) = pays(&runtime).await;
    let row = open(&runtime).await;
    lies(path, row.id).await;
    let (yes, answer) = (reply(&row, "once", ""), file(path, row.id, "answer"));
    let other = path.join("other");
    fs::write(&other, &yes).unwrap();
    let wrong = yes.replace(&row.ask.digest.0, &"0".repeat(64));
    let pads = format!("{yes}{}", " ".repeat(70_000));
    let refused: [(&str, &dyn Fn()); 6] = [
        ("a link", &|| symlink(&other, &answer).unwrap()),
        ("one that others may write", &|| {
            fs::write(&answer, &yes).unwrap();
            fs::set_permissions(&answer, Permissions::from_mode(0o666)).unwrap();
        }),
        ("of another request", &|| fs::write(&answer, &wrong).unwrap()),
        ("too large", &|| fs::write(&answer, &pads).unwrap()),
        ("half", &|| fs::write(&answer, yes.trim_end_matches('}')).unwrap()),
        ("no file", &|| fs::create_dir(&answer).unwrap()),
    ];
    for (what, place) in refused {
        place();
        // Long enough that it was looked at: what is refused leaves no trace to wait for, so another
        // question, asked and answered in the same folder meanwhile, says that a look has passed.
        let (_other, second) = pays(&runtime).await;
        let rows = {
            asked(&runtime, 2).await;
            runtime.approvals(None).await.unwrap()
        };
        let next = rows.into_iter().find(|open| open.id != row.id).expect("the second question");
        lies(path, next.id).await;
        put(path, &next, &reply(&next, "once", ""));
        assert_eq!(said(second).await, "paid 900");
        assert_eq!(asked(&runtime, 1).await, [row.id], "{what}");
        if fs::remove_file(&answer).is_err() {
            fs::remove_dir(&answer).unwrap();
        }
    }
    // The folder itself, once others may write there.
    fs::set_permissions(questions(path), Permissions::from_mode(0o777)).unwrap();
    put(path, &row, &yes);
    let elsewhere = house(&path.join("x"), &uses).question_folder(questions(path)).start().await;
    let why = elsewhere.expect_err("it is not used").to_string();
    assert!(why.contains("others may write there"), "{why}");
    assert_eq!(asked(&runtime, 1).await, [row.id]);
    fs::set_permissions(questions(path), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(said(turn).await, "paid 900");
    assert_eq!(answered_by(&runtime, &session).await, ["file"]);
    assert_eq!(uses.load(SeqCst), 7, "six others, and this one once");
    runtime.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_fit_the_tool_is_put_aside_and_another_one_counts() {
    let (folder, uses) = (Folder::new(), Arc::default());
    let path = folder.path();
    let runtime = house(path, &uses).question_folder(questions(path)).start().await.unwrap();
    let (_session, turn) = pays(&runtime).await;
    let row = open(&runtime).await;
    lies(path, row.id).await;
    put(path, &row, &reply(&row, "edit", r#", "args": {"cents": "many"}"#));
    let aside = file(path, row.id, "refused");
    seen("it is put aside", || aside.exists()).await;
    put(path, &row, &reply(&row, "once", ""));
    assert_eq!(said(turn).await, "paid 900");
    runtime.shutdown().await;
}

/// A question of the same session that is not open, and may have been.
fn older(id: ApprovalId) -> ApprovalId {
    ApprovalId { no: ApprovalNo(id.no.0 + 6), ..id }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_houses_with_one_folder_leave_each_others_questions_alone() {
    let (one, other, uses) = (Folder::new(), Folder::new(), Arc::default());
    let path = one.path();
    let start = |place: &Path| house(place, &uses).question_folder(questions(path)).start();
    let runtime = start(path).await.unwrap();
    let (session, turn) = pays(&runtime).await;
    let row = open(&runtime).await;
    lies(path, row.id).await;
    let strangers = ["01890000-0000-7000-8000-000000000000-a1", "notes"]
        .map(|name| questions(path).join(format!("{name}.question.json")));
    strangers.iter().for_each(|file| fs::write(file, "{}").unwrap());

    let second = start(other.path()).await.unwrap();
    let (_other, paid) = pays(&second).await;
    let theirs = open(&second).await;
    lies(path, theirs.id).await;
    put(path, &theirs, &reply(&theirs, "once", ""));
    assert_eq!(said(paid).await, "paid 900");
    second.shutdown().await;
    // Its folder is cleared up when the next one has cleared this up: the ids of the others come first.
    let mine = file(path, older(theirs.id), "question");
    fs::write(&mine, "{}").unwrap();
    let second = start(other.path()).await.unwrap();
    seen("the second has cleared up", || !mine.exists()).await;

    assert!(file(path, row.id, "question").exists(), "the question of the first is still asked");
    assert!(strangers.iter().all(|file| file.exists()), "and nobody else's is touched");
    put(path, &row, &reply(&row, "once", ""));
    assert_eq!(said(turn).await, "paid 900");
    assert_eq!(answered_by(&runtime, &session).await, ["file"]);
    second.shutdown().await;
    runtime.shutdown().await;
}

pub fn first_half(folder: Folder, _more: String) -> BoxFuture<'static, Stage> {
    async move {
        let (path, uses) = (folder.path(), Arc::default());
        let runtime = house(path, &uses).question_folder(questions(path)).start().await.unwrap();
        let (_session, _turn) = pays(&runtime).await;
        let row = open(&runtime).await;
        lies(path, row.id).await;
        killed::is_ready().await;
        unreachable!("it is killed")
    }
    .boxed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_given_while_nobody_ran_counts_after_a_kill_once() {
    let (folder, uses) = (killed::after(FIRST_HALF, ""), Arc::default());
    let path = folder.path();
    let rows = {
        let reading = greenroom::app::look(&file_in(path)).expect("the store");
        reading.approvals(None).await.expect("the inbox")
    };
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    put(path, row, &reply(row, "once", ""));
    fs::write(file(path, older(row.id), "question"), "{}").unwrap();
    let runtime = house(path, &uses).question_folder(questions(path)).start().await.unwrap();
    let session = runtime.session(row.id.session);
    goes_on(&runtime, &session).await;
    seen("nothing is left, of older questions either", || nothing_is_left(path)).await;
    assert_eq!(answered_by(&runtime, &session).await, ["file"]);
    runtime.shutdown().await;
    assert_eq!(uses.load(SeqCst), 1);
}
