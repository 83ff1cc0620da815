"""Who may do what: every role tries what it may not, and what is not theirs does not exist for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bedplate.app.control.calls.submission import prepare
from bedplate.app.control.service import ControlService, running_service
from bedplate.app.control.settings import ServiceSettings
from bedplate.core.messages import encode
from bedplate.documents.reading import document_from
from bedplate.service.control.application import ROUTES, create_application
from bedplate.service.control.handlers import Handlers
from tests.command_line import USES
from tests.service.control.live_service import gate


@dataclass(frozen=True, kw_only=True)
class People:
    """A service whose nodes are drained, so that jobs wait; and clients of several people."""

    service: ControlService
    application: TestClient
    tokens: dict[str, str]

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
        token = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        return self.application.request(method, path, json=body, headers={**token, **headers})

    def submit(self, who: str, name: str = "gate", **needs: Any) -> Any:
        sent = prepare(document_from(gate(name, needs), Path.cwd()), USES)
        return self.ask(who, "POST", "/v1/jobs", encode(sent))


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    def lost(error: Exception) -> None:
        raise AssertionError(error)

    settings = ServiceSettings(pass_every=0.05, max_jobs=20, max_priority=10)
    with running_service(settings, state=str(tmp_path / "state"), engine="simulated://2x2", uses=USES, on_lost=lost) as service:
        application = TestClient(create_application(Handlers(service), ()), base_url="http://127.0.0.1")
        assert service.token is not None
        made = People(service=service, application=application, tokens={"admin": service.token})
        for name, role, tenants in (
            ("alice", "user", ["research/vision"]),
            ("bob", "user", ["research/speech"]),
            ("vera", "viewer", ["research"]),
            ("olga", "operator", []),
        ):
            answer = made.ask("admin", "PUT", f"/v1/users/{name}", {"role": role, "tenants": tenants})
            made.tokens[name] = answer.json()["token"]
        for node in made.ask("admin", "GET", "/v1/nodes").json()["nodes"]:
            assert made.ask("olga", "POST", f"/v1/nodes/{node['id']}/drain", {"reason": "test"}).status_code == 200
        yield made


def test_without_a_token_there_is_only_health(people: People) -> None:
    for method, path, _ in ROUTES:
        answer = people.ask("nobody", method, path.replace("{job_id}", "job-1"), {} if method in ("POST", "PUT") else None)
        assert answer.status_code == (200 if path == "/health" else 401), (method, path)


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer wrong", "Basic YWRtaW46", "Bearer a b", "Bearer \x7f"])
def test_a_wrong_token_is_refused(people: People, header: str) -> None:
    answer = people.application.get("/v1/status", headers={"Authorization": header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_tokens_are_kept_as_digests_only(people: People, tmp_path: Path) -> None:
    stored = b"".join(file.read_bytes() for file in (tmp_path / "state").glob("state.db*"))
    assert stored
    assert not [who for who, token in people.tokens.items() if token.encode() in stored]
    kept = tmp_path / "state" / "control" / "token"
    assert (kept.stat().st_mode & 0o777, kept.read_text().strip()) == (0o600, people.tokens["admin"])


def test_a_renewed_token_replaces_the_one_before(people: People) -> None:
    token = people.ask("alice", "POST", "/v1/users/alice/token", {}).json()["token"]
    assert people.ask("alice", "GET", "/v1/status").status_code == 401
    people.tokens["alice"] = token
    assert people.ask("alice", "GET", "/v1/status").json()["user"] == "alice"


class TestJobs:
    @pytest.mark.parametrize(
        ("who", "sees"), [("bob", False), ("vera", True), ("olga", True), ("admin", True), ("alice", True)]
    )
    def test_who_sees_a_job_of_alice(self, people: People, who: str, sees: bool) -> None:
        job = people.submit("alice").json()["id"]
        assert people.ask(who, "GET", f"/v1/jobs/{job}").status_code == (200 if sees else 404)
        listed = [item["id"] for item in people.ask(who, "GET", "/v1/jobs").json()["jobs"]]
        assert listed == ([job] if sees else [])
        assert people.ask(who, "GET", f"/v1/events?job={job}").status_code == (200 if sees else 404)

    @pytest.mark.parametrize(("who", "status"), [("bob", 404), ("vera", 403), ("olga", 200), ("admin", 200), ("alice", 200)])
    def test_who_cancels_a_job_of_alice(self, people: People, who: str, status: int) -> None:
        job = people.submit("alice").json()["id"]
        assert people.ask(who, "POST", f"/v1/jobs/{job}/cancel", {}).status_code == status
        assert (people.service.state.jobs.get(job).cancelled_by == who) == (status == 200)  # type: ignore[union-attr]

    def test_what_is_not_theirs_looks_like_what_never_was(self, people: People) -> None:
        job = people.submit("alice").json()["id"]
        there, never = (people.ask("bob", "GET", f"/v1/jobs/{name}").json() for name in (job, "job-999"))
        assert {**there, "error": ""} == {**never, "error": ""}

    def test_filters_do_not_widen_what_one_sees(self, people: People) -> None:
        people.submit("alice")
        for query in ("user=alice", "tenant=research", "tenant=research/vision", "name=gate", "phase=waiting"):
            assert people.ask("bob", "GET", f"/v1/jobs?{query}").json()["jobs"] == [], query
            assert people.ask("bob", "GET", f"/v1/jobs?{query}").json()["counts"] == {}, query

    def test_jobs_of_others_are_not_named_in_reasons_or_on_nodes(self, people: People) -> None:
        from bedplate.app.control.calls.explain import without_others

        assert without_others("after job-12 and job-3", lambda job: job == "job-3") == "after another job and job-3"

    @pytest.mark.parametrize("tenant", ["research/speech", "research", "research/vision-2", "default"])
    def test_nobody_submits_to_a_tenant_that_is_not_theirs(self, people: People, tenant: str) -> None:
        answer = people.submit("alice", tenant=tenant)
        assert (answer.status_code, answer.json()["code"]) == (403, "BP220")

    def test_a_job_goes_to_the_own_tenant_or_below(self, people: People) -> None:
        assert people.submit("alice").json()["tenant"] == "research/vision"
        assert people.submit("alice", "other", tenant="research/vision/night").json()["tenant"] == "research/vision/night"

    def test_a_viewer_submits_nothing(self, people: People) -> None:
        assert people.submit("vera").status_code == 403

    def test_priority_has_a_limit_for_users(self, people: People) -> None:
        assert people.submit("alice", priority=11).status_code == 403
        assert people.submit("alice", priority=10).status_code == 201
        assert people.submit("olga", priority=900).status_code == 201

    def test_two_users_do_not_share_a_run_and_one_does_not_submit_twice(self, people: People) -> None:
        first, again, other = people.submit("alice"), people.submit("alice"), people.submit("bob")
        assert (first.status_code, again.status_code, other.status_code) == (201, 200, 201)
        assert first.json()["id"] == again.json()["id"] != other.json()["id"]

    def test_a_key_of_other_content_is_refused(self, people: People) -> None:
        sent = dict(encode(prepare(document_from(gate(), Path.cwd()), USES)))
        answer = people.ask("alice", "POST", "/v1/jobs", {**sent, "key": "0" * 32})
        assert (answer.status_code, answer.json()["code"]) == (409, "BP400")

    def test_what_can_never_run_is_refused_at_once_with_what_could(self, people: People) -> None:
        answer = people.submit("alice", workers={"want": 5, "min": 5})
        assert answer.status_code == 400
        assert "nothing here can ever run" in answer.json()["error"]
        assert answer.json()["expected"]
        assert people.ask("alice", "GET", "/v1/jobs").json()["jobs"] == []

    def test_a_full_queue_refuses_for_the_moment(self, people: People) -> None:
        answers = [people.submit("alice", f"n{number}").status_code for number in range(21)]
        assert answers == [201] * 20 + [429]

    def test_a_dry_run_says_what_would_happen_and_submits_nothing(self, people: People) -> None:
        sent = dict(encode(prepare(document_from(gate(), Path.cwd()), USES)))
        answer = people.ask("alice", "POST", "/v1/jobs", {**sent, "dry_run": True}).json()
        assert answer["would"] == "wait"
        assert people.ask("admin", "GET", "/v1/jobs").json()["jobs"] == []


class TestAdministration:
    @pytest.mark.parametrize(
        ("method", "path", "body", "allowed"),
        [
            ("GET", "/v1/users", None, {"admin"}),
            ("PUT", "/v1/users/eve", {"role": "admin"}, {"admin"}),
            ("DELETE", "/v1/users/bob", None, {"admin"}),
            ("POST", "/v1/users/admin/token", {}, {"admin"}),
            ("PUT", "/v1/quotas/research", {"limit": {"cpu": 1}}, {"admin"}),
            ("DELETE", "/v1/quotas/research", None, {"admin"}),
            ("POST", "/v1/nodes/node-0/drain", {"reason": "x"}, {"admin", "olga"}),
            ("POST", "/v1/nodes/node-0/undrain", {}, {"admin", "olga"}),
            ("GET", "/v1/events", None, {"admin", "olga"}),
        ],
    )
    def test_others_may_not(self, people: People, method: str, path: str, body: Any, allowed: set[str]) -> None:
        for who in {"alice", "bob", "vera", "olga"} - allowed:
            assert people.ask(who, method, path, body).status_code == 403, who

    def test_a_removed_user_has_no_rights_and_the_last_admin_stays(self, people: People) -> None:
        assert people.ask("admin", "DELETE", "/v1/users/alice").status_code == 200
        assert people.ask("alice", "GET", "/v1/status").status_code == 401
        assert people.ask("admin", "DELETE", "/v1/users/admin").status_code == 400

    @pytest.mark.parametrize("name", ["Alice", "a b", "..", "x" * 65])
    def test_names_are_checked(self, people: People, name: str) -> None:
        assert people.ask("admin", "PUT", f"/v1/users/{name}", {"role": "user"}).status_code in (400, 404)

    def test_a_user_is_not_replaced(self, people: People) -> None:
        assert people.ask("admin", "PUT", "/v1/users/alice", {"role": "admin"}).status_code == 400
        assert people.ask("alice", "GET", "/v1/status").json()["role"] == "user"

    def test_quotas_show_own_tenants_only(self, people: People) -> None:
        people.ask("admin", "PUT", "/v1/quotas/research/vision", {"guaranteed": {"cpu": 2}})
        people.ask("admin", "PUT", "/v1/quotas/research/speech", {"guaranteed": {"cpu": 2}})
        shown = {item["tenant"] for item in people.ask("alice", "GET", "/v1/quotas").json()["quotas"]}
        assert shown == {"research/vision"}

    @pytest.mark.parametrize("body", [{"limit": {"cpu": -1}}, {"weight": 0}, {"limits": {}}, {"limit": {"cpu": "a lot"}}, []])
    def test_a_quota_that_cannot_be_meant_is_refused(self, people: People, body: Any) -> None:
        assert people.ask("admin", "PUT", "/v1/quotas/research", body).status_code == 400

    @pytest.mark.parametrize("key", ["guaranteed", "limit", "weight"])
    @pytest.mark.parametrize("amount", ["Infinity", "1e400", "NaN"])
    def test_a_quota_that_is_not_finite_is_refused_and_not_kept(self, people: People, key: str, amount: str) -> None:
        headers = {"Authorization": f"Bearer {people.tokens['admin']}", "Content-Type": "application/json"}
        body = '{"' + key + '": ' + (amount if key == "weight" else '{"H100": ' + amount + "}") + "}"
        answer = people.application.request("PUT", "/v1/quotas/research", content=body, headers=headers)
        assert answer.status_code == 400
        assert people.ask("admin", "GET", "/v1/quotas").json()["quotas"] == []


class TestRequests:
    @pytest.mark.parametrize(
        ("header", "value", "status"),
        [
            ("Host", "evil.example", 403),
            ("Host", "127.0.0.1.evil.example:80", 403),
            ("Host", "localhost:1", 200),
            ("Host", "[::1]:8420", 200),
            ("Origin", "http://evil.example", 403),
            ("Origin", "null", 403),
            ("Origin", "http://127.0.0.1:3000", 200),
        ],
    )
    def test_pages_of_other_sites_get_no_answer(self, people: People, header: str, value: str, status: int) -> None:
        assert people.ask("admin", "GET", "/v1/status", **{header: value}).status_code == status

    def test_a_body_must_be_declared_as_json(self, people: People) -> None:
        headers = {"Authorization": f"Bearer {people.tokens['admin']}", "Content-Type": "text/plain"}
        assert people.application.post("/v1/jobs", content="{}", headers=headers).status_code == 415

    def test_a_body_has_a_limit(self, people: People) -> None:
        headers = {"Authorization": f"Bearer {people.tokens['admin']}", "Content-Type": "application/json"}
        assert people.application.post("/v1/jobs", content=b" " * 4_000_001, headers=headers).status_code == 413

    @pytest.mark.parametrize("content", ["", "[", "[]", "{}", '{"document": 1, "key": ""}', "[" * 50_000, '{"x": 1}', "\ud800"])
    def test_a_body_that_is_not_what_was_agreed_is_refused(self, people: People, content: str) -> None:
        headers = {"Authorization": f"Bearer {people.tokens['admin']}", "Content-Type": "application/json"}
        answer = people.application.post("/v1/jobs", content=content.encode(errors="surrogatepass"), headers=headers)
        assert (answer.status_code, answer.json()["code"][:3]) == (400, "BP2")

    @pytest.mark.parametrize(
        "query",
        ["colour=red", "limit=0", "limit=1001", "limit=x", "limit=1&limit=2", "order=random", "cursor=xyz", "phase=asleep"],
    )
    def test_a_query_that_is_not_known_is_refused_by_name(self, people: People, query: str) -> None:
        answer = people.ask("admin", "GET", f"/v1/jobs?{query}")
        assert answer.status_code == 400
        assert query.partition("=")[0] in answer.json()["error"] or answer.json()["expected"]

    def test_a_path_that_is_not_there(self, people: People) -> None:
        assert people.ask("admin", "GET", "/v1/nothing").status_code == 404
        assert people.ask("admin", "PATCH", "/v1/jobs").status_code == 405

    @pytest.mark.parametrize("order", ["newest", "oldest"])
    def test_pages_cover_every_job_once_also_while_jobs_come(self, people: People, order: str) -> None:
        jobs = [people.submit("alice", f"n{number}").json()["id"] for number in range(5)]
        seen, cursor = [], ""
        while True:
            page = people.ask("alice", "GET", f"/v1/jobs?limit=2&order={order}{cursor}").json()
            seen += [job["id"] for job in page["jobs"]]
            if len(seen) == 2:
                late = people.submit("alice", "late").json()["id"]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert [job for job in seen if job != late] == (jobs[::-1] if order == "newest" else jobs)

    def test_a_cursor_of_another_order_is_refused(self, people: People) -> None:
        for number in range(3):
            people.submit("alice", f"n{number}")
        cursor = people.ask("alice", "GET", "/v1/jobs?limit=1&order=newest").json()["next"]
        assert people.ask("alice", "GET", f"/v1/jobs?order=oldest&cursor={cursor}").status_code == 400

    def test_nodes_have_pages_and_a_filter(self, people: People) -> None:
        first = people.ask("bob", "GET", "/v1/nodes?limit=1&order=-name&state=drained").json()
        second = people.ask("bob", "GET", f"/v1/nodes?limit=1&order=-name&state=drained&cursor={first['next']}").json()
        assert [page["nodes"][0]["id"] for page in (first, second)] == ["node-1", "node-0"]
        assert second["next"] is None
        assert people.ask("bob", "GET", "/v1/nodes?state=usable").json()["nodes"] == []

    def test_users_and_quotas_have_filters(self, people: People) -> None:
        found = people.ask("admin", "GET", "/v1/users?role=viewer").json()["users"]
        assert [user["name"] for user in found] == ["vera"]
        for tenant in ("a", "a/b", "ab"):
            people.ask("admin", "PUT", f"/v1/quotas/{tenant}", {})
        shown = people.ask("admin", "GET", "/v1/quotas?tenant=a").json()["quotas"]
        assert [item["tenant"] for item in shown] == ["a", "a/b"]


def test_a_quota_does_not_contradict_itself(people: People) -> None:
    quota = {"guaranteed": {"cpu": 4}, "limit": {"cpu": 2}, "weight": 1}
    answer = people.ask("admin", "PUT", "/v1/quotas/research", quota)
    assert answer.status_code == 400
    assert answer.json()["seen"] == "cpu: guaranteed 4, limit 2"


def test_a_use_case_that_only_the_sender_has_is_refused_with_the_way_to_add_it(people: People) -> None:
    document = {"version": 1, "name": "odd", "steps": {"a": {"use": "my.own"}}}
    answer = people.ask("admin", "POST", "/v1/jobs", {"document": document, "key": "0" * 64})
    assert answer.status_code == 400
    assert answer.json()["error"] == "the service has no use case 'my.own'"
    assert "bedplate up --use my.own=MODULE" in answer.json()["next"]


def test_a_state_that_the_service_makes_is_for_its_user_only(tmp_path: Path) -> None:
    with running_service(ServiceSettings(), state=str(tmp_path / "made"), engine="simulated://1x1", on_lost=print):
        modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "made").glob("state.db*")}
    assert modes and set(modes.values()) == {0o600}
    assert "state.db-wal" in modes
