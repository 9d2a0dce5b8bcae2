//! Tenants apart: of another's sessions a token does not even learn that they exist.

use serde_json::json;

use super::{
    door::routes,
    theatre::{Theatre, at, items},
};

const NIL: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_anothers_is_not_there() {
    let theatre = Theatre::open().await;
    let foreign = theatre.session("clerk").await;
    theatre.admin.post(&at(&foreign, "messages"), &json!({ "text": "pay" })).await.is(202);
    theatre.question(&foreign).await;
    let tenant = &theatre.tenant;
    let mut asked = 0;
    for (known, none) in
        routes(&theatre.admin, &foreign).await.into_iter().zip(routes(&theatre.admin, NIL).await)
    {
        if !known.template.contains("{session}") {
            continue;
        }
        asked += 1;
        // Whatever would be a body of any of them.
        let body =
            json!({ "text": "x", "name": "x", "objective": "x", "digest": "x", "answer": "once" });
        let bodies = [
            body,
            json!({}),
            json!({ "name": "x" }),
            json!({ "text": "x" }),
            json!({ "objective": "x" }),
            json!({ "digest": "x", "answer": "once" }),
            json!({ "arguments": {} }),
        ];
        for body in bodies {
            let theirs = tenant.with(&known.method, &known.path, &[], &body).await;
            let nothing = tenant.with(&none.method, &none.path, &[], &body).await;
            assert!([400, 404].contains(&theirs.status), "{} {}", known.method, known.template);
            let hidden = |text: String| text.replace(&foreign, NIL);
            assert_eq!(
                (theirs.status, hidden(theirs.text())),
                (nothing.status, hidden(nothing.text())),
                "as if it were not there: {} {}",
                known.method,
                known.template
            );
        }
    }
    assert!(asked > 15, "{asked}");
    for path in ["/v1/sessions", "/v1/tree", "/v1/approvals", "/v1/tree/groups"] {
        assert!(items(&tenant.get(path).await.is(200)).is_empty(), "{path}");
    }
    assert_eq!(tenant.get("/v1/status").await.is(200).json()["sessions"]["total"], 0);
    assert_eq!(tenant.get("/metrics").await.code(), "forbidden");
    assert_eq!(tenant.post("/v1/halt", &json!({})).await.code(), "forbidden");
    let row = theatre.admin.get(&format!("/v1/sessions/{foreign}")).await.is(200).json();
    assert_eq!((&row["state"], &row["name"]), (&json!("waiting"), &json!(null)), "untouched");
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_one_tenant_opens_for_that_one() {
    let theatre = Theatre::open().await;
    let tenant = &theatre.tenant;
    let own = tenant.post("/v1/sessions", &json!({ "agent": "echo" })).await.is(201).json();
    assert_eq!(own["tenant"], "theirs");
    let wanted = json!({ "agent": "echo", "tenant": "default" });
    assert_eq!(tenant.post("/v1/sessions", &wanted).await.code(), "forbidden");
    assert_eq!(items(&tenant.get("/v1/sessions").await).len(), 1);
    theatre.session("echo").await;
    assert_eq!(items(&tenant.get("/v1/sessions").await).len(), 1);
    assert_eq!(items(&theatre.admin.get("/v1/sessions").await).len(), 2);
    theatre.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_one_tenant_says_holds_for_another() {
    let theatre = Theatre::open().await;
    let tenant = &theatre.tenant;
    let own = tenant.post("/v1/sessions", &json!({ "agent": "clerk" })).await.is(201).json();
    let own = own["session"].as_str().unwrap();
    tenant.post(&at(own, "messages"), &json!({ "text": "pay" })).await.is(202);
    let question = theatre.question(own).await;
    let always = json!({ "answer": "always", "digest": question["digest"] });
    let path = format!("/v1/approvals/{own}/1");
    assert_eq!(tenant.post(&path, &always).await.code(), "forbidden");
    let session = json!({ "answer": "session", "digest": question["digest"] });
    tenant.post(&path, &session).await.is(200);
    // A cursor of somebody else's is as good as none that was ever given.
    let foreign = theatre.session("echo").await;
    for list in ["sessions", "tree"] {
        let known = tenant.get(&format!("/v1/{list}?after={foreign}")).await.is(400);
        let unknown = tenant.get(&format!("/v1/{list}?after={NIL}")).await.is(400);
        assert_eq!(known.text(), unknown.text(), "{list}");
        tenant.get(&format!("/v1/{list}?after={own}")).await.is(200);
    }
    theatre.close().await;
}
