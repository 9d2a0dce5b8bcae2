//! A disk that is in the way for a while, and names that are nobody's here. The rest is told with real
//! runtimes in `tests/it/channels`.

use std::{fs, sync::Weak};

use greenroom_actors::testing::{
    clock::ManualClock,
    harness::{bounded, eventually},
};

use super::*;
use crate::{channels::wire, clock::SystemClock};

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(name).collect()
}

#[tokio::test]
async fn a_question_that_cannot_be_written_is_written_once_it_can_be() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("questions");
    let clock = ManualClock::default();
    let folder = Folder::open(&path, Arc::new(clock.clone())).unwrap();
    let row = Arc::new(wire::tests::row(r#"{"command":"ls"}"#));
    // What is in the way of the file can be moved away by nobody but who put it there.
    let way = path.join(shelf::draft(row.id));
    fs::create_dir(&way).unwrap();
    let mut asked = folder.ask(Arc::clone(&row));
    let real: Arc<dyn Clock> = Arc::new(SystemClock);
    let stem = format!("{}-a{}", row.id.session, row.id.no);
    let (question, answer) =
        (path.join(format!("{stem}.question.json")), path.join(format!("{stem}.answer.json")));
    for tries in 1..=3 {
        let pauses =
            eventually(&real, "it pauses", || async { (clock.sleepers() == 2).then_some(()) });
        tokio::select! {
            biased;
            answer = &mut asked => panic!("{answer:?} of try {tries}"),
            () = pauses => {}
        }
        assert!(!question.exists());
        if tries == 3 {
            fs::remove_dir(&way).unwrap();
        }
        clock.advance(limits::QUESTION_PAUSE_MAX_MS);
    }
    let lies = eventually(&real, "it lies there", || async { question.exists().then_some(()) });
    tokio::select! {
        biased;
        answer = &mut asked => panic!("{answer:?} of nobody"),
        () = lies => {}
    }
    let (id, digest) = (row.id, &row.ask.digest.0);
    let yes = format!(r#"{{"approval": "{id}", "digest": "{digest}", "answer": "once"}}"#);
    fs::write(answer, yes).unwrap();
    let moves = eventually(&real, "never", || async {
        clock.advance(limits::ANSWER_LOOK_MS);
        None::<()>
    });
    let said = tokio::select! {
        biased;
        said = &mut asked => said,
        () = moves => unreachable!("it is patient for longer"),
    };
    assert_eq!(said.unwrap(), Answer::Once);
    drop(asked);
    bounded("it is cleared away", folder.closed(row, "allowed".to_owned())).await;
    assert_eq!(names(&path), [""; 0]);
}

#[test]
fn a_question_that_nobody_asks_any_more_is_not_put_there() {
    let place = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(place.path()).unwrap();
    let (row, asked) = (wire::tests::row("{}"), Arc::new(()));
    shelf.put(&row, &Weak::new()).unwrap();
    assert_eq!(names(place.path()), [""; 0]);
    shelf.put(&row, &Arc::downgrade(&asked)).unwrap();
    assert_eq!(shelf.left().unwrap(), [row.id].into());
}

#[test]
fn of_what_lies_there_only_questions_under_their_own_names_are_counted() {
    let place = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(place.path()).unwrap();
    let id = wire::tests::row("{}").id;
    let own = format!("{}-a{}", id.session, id.no);
    for name in [
        "notes.question.json".to_owned(),
        "-a1.question.json".to_owned(),
        format!("{}.question.json", own.replace("-a1", "-a01")),
        format!("{}.question.json", own.replace("-a1", "-a+2")),
        format!("{own}.answer.json"),
        format!("{own}.refused.json"),
        format!("{own}.question.json.greenroom-new"),
    ] {
        fs::write(place.path().join(name), "").unwrap();
    }
    assert_eq!(shelf.left().unwrap(), [].into());
    fs::write(place.path().join(shelf::draft(id)), "").unwrap();
    assert_eq!(shelf.left().unwrap(), [id].into(), "half of one is one");
}
