"""`ucam-faas check`: what it prints, what it ignores, and when it cannot say anything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.terraform.fixtures import unavailable
from tests.terraform.runner import Terraform

from .conftest import PLAN, TERRAFORM_PLAN, Shop, TerraformPlans
from .seeded import LAST, setting, variable
from .seeded_stages import THREE


def test_a_finding_says_where_what_why_and_what_to_do(shop: Shop) -> None:
    shop.edit(*variable("HOST", "localhost"))

    result = shop.run()

    assert result.exit_code == 1
    assert result.stdout == (
        "ucam-faas.toml:8  unreachable\n"
        "  HOST is localhost.\n"
        "  why  Cloud Run cannot reach the port: the deployment fails.\n"
        "  do   Leave it out.\n"
        "\n"
        "1 finding: 5 tasks, ucam-faas.toml. Not checked: a plan on disk, Terraform "
        "(--terraform).\n"
    )


def test_findings_are_in_the_order_of_files_and_lines(shop: Shop) -> None:
    shop.edit(*variable("HOST", "localhost"))
    shop.edit("ucam-faas.toml", "= 86400", "= 3000")
    shop.edit("main.py", 'Schedule("0 3 * * *")', 'Schedule("0 3 31 * *")')

    findings = shop.check()

    assert [(finding["file"], finding["rule"]) for finding in findings] == [
        ("main.py", "schedule-skips-months"),
        ("ucam-faas.toml", "unreachable"),
        ("ucam-faas.toml", "retries-outlast-retention"),
    ]


def test_all_problems_of_a_configuration_are_findings(shop: Shop) -> None:
    shop.edit(*setting("count_orders", 'memmory = "1Gi"'))
    shop.edit(*setting("pay_back", "cpu = 3"))

    findings = shop.check()

    assert [finding["rule"] for finding in findings] == ["configuration-unusable"] * 2


def test_a_stage_that_does_not_exist_is_a_finding(shop: Shop) -> None:
    (finding,) = shop.check("--stage", "prodction")

    assert "Did you mean 'production'?" in finding["what"]
    assert (finding["file"], finding["line"]) == (
        "ucam-faas.toml",
        shop.line("ucam-faas.toml", "[stage.production]"),
    )


def test_a_misspelt_table_of_a_stage_is_a_finding_at_its_line(shop: Shop) -> None:
    shop.edit("ucam-faas.toml", "[stage.production]", "[stage.prodction]")

    (finding,) = shop.check("--stage", "production")

    assert "Did you mean 'prodction'?" in finding["what"]
    assert finding["line"] == shop.line("ucam-faas.toml", "[stage.prodction]")


def test_the_code_of_another_stage_is_found(shop: Shop) -> None:
    stages = '[stage.staging]\nproject = "shop-b"\n[stage.production]\nsource = "main_staging.py"\n'
    shop.edit("ucam-faas.toml", "[stage.production]\n", stages)
    shop.path("main.py").rename(shop.path("main_staging.py"))

    rules = [finding["rule"] for finding in shop.check("--stage", "production")]

    assert rules == ["stage-mixed"]


def test_an_error_that_prevents_a_plan_says_that_rules_were_skipped(shop: Shop) -> None:
    shop.edit("main.py", "def show_order", "def Pay_Back")

    result = shop.run()

    assert result.exit_code == 1
    assert "the rules that need one were skipped" in result.stdout


def test_a_misspelt_stage_hides_no_other_finding(shop: Shop) -> None:
    shop.edit("ucam-faas.toml", "environment = {", 'environment = { HOST = "localhost",')
    shop.plan()  # of no stage: nothing may be compared with it

    rules = {finding["rule"] for finding in shop.check("--stage", "prodction")}

    assert rules == {"configuration-unusable", "unreachable"}


def test_a_misspelt_stage_with_other_tasks_is_the_only_finding(shop: Shop) -> None:
    shop.edit("ucam-faas.toml", "[stage.production]", '[stage.production]\nsource = "live.py"')
    shop.path("main.py").rename(shop.path("live.py"))

    (finding,) = shop.check("--stage", "prodction")

    assert "Did you mean 'production'?" in finding["what"]


def test_a_secret_in_plain_text_is_found_in_any_stage(shop: Shop) -> None:
    line = 'memory = "1Gi"\nenvironment = { DB_PASSWORD = "hunter2hunter2" }'
    shop.edit("ucam-faas.toml", 'memory = "1Gi"', line)

    without, named = shop.check(), shop.check("--stage", "production")

    assert [finding["rule"] for finding in without] == ["secret-in-sight"]
    assert without == named
    shop.edit("ucam-faas.toml", 'memory = "1Gi"', 'ignore = ["secret-in-sight"]\nmemory = "1Gi"')
    assert shop.check() == []


def test_the_plan_of_another_stage_is_one_finding(shop: Shop) -> None:
    shop.edit(*THREE)
    shop.plan("--stage", "staging")
    shop.edit("main.py", "def show_order", "def look_at_order")  # else a deletion, and more

    (finding,) = shop.check("--stage", "test")

    assert finding["rule"] == "plan-of-another-stage"
    assert "is the plan of the stage 'staging', for shop-staging" in finding["what"]
    assert "of the stage 'test'" in finding["what"]


def test_the_plan_of_another_stage_in_the_same_project_is_one_finding(shop: Shop) -> None:
    stage = '[stage.test]\nname_prefix = "test-"\n'
    shop.edit("ucam-faas.toml", "[stage.production]", f"{stage}[stage.production]")
    shop.plan("--stage", "production")

    (finding,) = shop.check("--stage", "test")

    assert finding["rule"] == "plan-of-another-stage"


def test_a_stage_that_moves_into_a_new_project_loses_its_messages(shop: Shop) -> None:
    shop.edit(*THREE)
    shop.plan("--stage", "test")
    shop.edit("ucam-faas.toml", 'project = "shop-test"', 'project = "shop-trial"')

    rules = {finding["rule"] for finding in shop.check("--stage", "test")}

    assert {"subscription-deleted", "plan-out-of-date"} <= rules


def test_a_stage_is_checked_with_its_own_values(shop: Shop) -> None:
    shop.edit("ucam-faas.toml", 'memory = "1Gi"', 'environment = { HOST = "localhost" }')

    assert shop.check() == []
    assert {finding["rule"] for finding in shop.check("--stage", "production")} == {"unreachable"}


def test_a_plan_of_a_stage_is_not_to_be_overwritten_by_one_of_none(shop: Shop) -> None:
    shop.edit(
        "ucam-faas.toml",
        "[task.count_orders]",
        '[stage.test]\nproject = "my-trial"\nignore = ["stage-mixed"]\n[task.count_orders]',
    )
    shop.plan("--stage", "production")

    without = {finding["fix"] for finding in shop.check()}
    shop.edit("ucam-faas.toml", "strict", "lax")
    named = {finding["fix"] for finding in shop.check("--stage", "production")}

    again = "un: ucam-faas plan, with the same options."
    assert without == {
        "Name the stage that was planned, with --stage production or --stage test. If it was "
        f"none, r{again}"
    }
    assert named == {f"R{again}"}


def test_a_value_set_for_all_tasks_is_one_finding(shop: Shop) -> None:
    shop.edit("ucam-faas.toml", "project =", 'environment = { HOST = "localhost" }\nproject =')

    (finding,) = shop.check()

    assert (finding["line"], finding["task"]) == (1, None)


# --- what is ignored


def test_a_task_may_ignore_a_rule(shop: Shop) -> None:
    shop.edit(*variable("HOST", "localhost"))
    shop.edit(*setting("count_orders", 'ignore = ["unreachable"]'))

    assert shop.check() == []


def test_a_rule_that_one_task_ignores_holds_for_the_others(shop: Shop) -> None:
    shop.edit(*variable("HOST", "localhost"))
    shop.edit(*setting("pay_back", 'ignore = ["unreachable"]'))

    assert [finding["task"] for finding in shop.check()] == ["count_orders"]


def test_a_value_set_for_all_tasks_is_reported_unless_all_ignore_it(shop: Shop) -> None:
    shop.edit("ucam-faas.toml", "project =", 'environment = { HOST = "localhost" }\nproject =')
    shop.edit(*setting("pay_back", 'ignore = ["unreachable"]'))

    assert [finding["rule"] for finding in shop.check()] == ["unreachable"]


def test_a_finding_without_a_task_is_ignored_if_all_tasks_ignore_it(
    shop: Shop, clean_plan: str
) -> None:
    plan = json.loads(clean_plan)
    plan["labels"] = {"team": "orders"}
    shop.path(PLAN).write_text(json.dumps(plan))
    assert [finding["rule"] for finding in shop.check()] == ["plan-out-of-date"]

    shop.edit("ucam-faas.toml", "project =", 'ignore = ["plan-out-of-date"]\nproject =')

    assert shop.check() == []


def test_all_differences_of_a_plan_are_one_finding(shop: Shop, clean_plan: str) -> None:
    plan = json.loads(clean_plan)
    del plan["project"], plan["tasks"]["count_orders"]
    plan["labels"] = {"team": "orders"}
    shop.path(PLAN).write_text(json.dumps(plan))

    text = shop.run().stdout

    assert text.count("plan-out-of-date") == 1
    assert f"  {PLAN} is out of date:\n  - it lacks the task 'count_orders'\n" in text
    assert "\n  - project isn't set, and should be '" in text
    assert "\n  - labels is {'team': 'orders'}, and " in text
    assert text.count("Terraform deploys the file, not the code.") == 1


def without_show_order(shop: Shop, clean_plan: str, ignore: str = "") -> None:
    """Remove a task that was deployed; nothing has it any more."""
    shop.path(LAST).write_text(clean_plan)
    shop.edit("main.py", "@ucam_faas.http(path", "dict(path")
    if ignore:
        shop.edit("ucam-faas.toml", "project =", f'ignore = ["{ignore}"]\nproject =')


def test_a_deletion_of_no_task_is_ignored_by_its_name(shop: Shop, clean_plan: str) -> None:
    without_show_order(shop, clean_plan, "protected-deleted:show-order")

    assert shop.check("--against", LAST) == []


@pytest.mark.parametrize("ignore", ["protected-deleted", "protected-deleted:show-orders"])
def test_a_deletion_of_no_task_is_found_if_only_its_rule_is_ignored(
    shop: Shop, clean_plan: str, ignore: str
) -> None:
    """All tasks may ignore a rule for years: that can't allow a deletion that comes later."""
    without_show_order(shop, clean_plan, ignore)

    (finding,) = shop.check("--against", LAST)

    assert (finding["rule"], finding["name"]) == ("protected-deleted", "show-order")


def test_one_task_is_named_behind_the_rule_for_all_tasks(shop: Shop) -> None:
    shop.edit(*variable("HOST", "localhost"))
    shop.edit("ucam-faas.toml", "project =", 'ignore = ["unreachable:count_orders"]\nproject =')

    assert shop.check() == []


def test_a_misspelt_rule_before_a_name_is_found(shop: Shop) -> None:
    shop.edit("ucam-faas.toml", "project =", 'ignore = ["unreachabel:count_orders"]\nproject =')

    assert [finding["rule"] for finding in shop.check()] == ["ignore-unknown"]


ODD = """{
  "tasks": {"gone": {"function": null}},
  "planned_values": {"root_module": {"resources": [{"mode": "managed", "values": {}}]}}
}"""

# --- what cannot be read


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.py"], "nowhere.py"),
        (["--against", "nothing.json"], "nothing.json cannot be read as a plan"),
        (["--against", "ucam-faas.toml"], "ucam-faas.toml cannot be read as a plan"),
        (["--against", "other.json"], "other.json isn't a plan"),
        (["--terraform", "other.json"], "other.json isn't a plan of Terraform"),
        (["--terraform", "ucam-faas.toml"], "ucam-faas.toml isn't JSON"),
        (["--terraform", "odd.json"], "odd.json isn't a plan in a format that is known: KeyError"),
        (["--against", "odd.json"], "odd.json isn't a plan"),
    ],
)
def test_an_unreadable_file_is_one_line_and_exit_code_2(
    shop: Shop, arguments: list[str], said: str
) -> None:
    shop.path("other.json").write_text("{}")
    shop.path("odd.json").write_text(ODD)

    assert said in shop.project.error("check", *arguments)


BROKEN = {
    "a decorator that refuses its options": (
        "filter='attributes.kind = \"refund\"'",
        'filter="kind = refund"',
        "@ucam_faas.message_handler(\n    message_type=None",
        "expected",
    ),
    "a time zone that is misspelt": (
        'Schedule("0 3 * * *")',
        'Schedule("0 3 * * *", time_zone="Europe/Lodnon")',
        "Europe/Lodnon",
        "the closest is 'Europe/London'",
    ),
    "a module that is missing": ("import ucam_faas\n", "import pandsa\n", "pandsa", "'pandsa'"),
    "a syntax error": ("def show_order", "def show order", "def show order", "SyntaxError"),
    "an error at import": ("pence: int = 0", "pence: int = 1 / 0", "1 / 0", "ZeroDivisionError"),
    "two tasks of one name": ("def cut_film", "def pay_back", 'run_as="worker"', "holds two tasks"),
}


@pytest.mark.parametrize("verb", ["check", "plan"])
@pytest.mark.parametrize("name", BROKEN)
def test_an_error_of_the_code_is_a_finding_for_programs(shop: Shop, name: str, verb: str) -> None:
    old, new, at, says = BROKEN[name]
    shop.edit("main.py", old, new)

    result = shop.project.run(verb, "--json")

    assert result.exit_code == 2
    (finding,) = json.loads(result.stdout)
    assert (finding["rule"], finding["file"]) == ("code-unusable", "main.py")
    assert abs(finding["line"] - shop.line("main.py", at)) <= 1  # a decorator of several lines
    assert says in finding["what"]
    assert finding["why"]
    assert finding["fix"]
    assert says in json.loads(result.stderr)["error"]["message"]


@pytest.mark.parametrize("verb", ["check", "plan"])
def test_an_unreadable_configuration_is_a_finding_for_programs(shop: Shop, verb: str) -> None:
    shop.edit("ucam-faas.toml", "= 86400", "= = 86400")

    result = shop.project.run(verb, "--json")

    assert result.exit_code == 2
    (finding,) = json.loads(result.stdout)
    assert (finding["rule"], finding["line"]) == (
        "input-unusable",
        shop.line("ucam-faas.toml", "= = 86400"),
    )


def test_problems_of_the_configuration_that_prevent_a_plan_are_findings(shop: Shop) -> None:
    shop.edit(*setting("count_orders", 'memmory = "1Gi"'))
    shop.edit(*setting("pay_back", "cpu = 3"))

    result = shop.project.run("plan", "--json")

    assert result.exit_code == 2
    findings = json.loads(result.stdout)
    assert [finding["rule"] for finding in findings] == ["configuration-unusable"] * 2


def test_a_folder_cannot_be_checked_without_terraform(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user asked for it, and would take silence for "no contradiction"."""
    monkeypatch.setenv("PATH", str(shop.project.root))

    assert "terraform is not on PATH" in shop.project.error("check", "--terraform", "infra")


def alone_on_path(shop: Shop, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a fake terraform alone on PATH."""
    program = shop.path("bin/terraform")
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


def test_an_uninitialised_folder_is_an_error_with_the_command_to_run(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone_on_path(shop, "", monkeypatch)

    said = shop.project.error("check", "--terraform", "infra")

    assert said.endswith("Run: terraform -chdir=infra init")


@pytest.mark.slow
def test_the_first_of_terraforms_errors_is_reported_and_shortened_at_a_word(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings before the error are skipped."""
    text = f"│ Warning: old\n\nError: No luck\n\n{'because ' * 80}\n\nError: Second\n"
    alone_on_path(shop, f"import sys; sys.exit({text!r})", monkeypatch)
    shop.path("infra/.terraform").mkdir()

    said = shop.project.error("check", "--terraform", "infra")

    assert said.startswith("ucam-faas: terraform plan failed in infra: No luck: because because")
    assert said.endswith(
        "because … Fix that, or plan yourself and give the output of `terraform show -json PLAN`."
    )
    assert len(said) < 600


@pytest.mark.slow
def test_the_exit_code_is_reported_if_terraform_prints_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone_on_path(shop, "import sys; sys.exit(7)", monkeypatch)
    shop.path("infra/.terraform").mkdir()

    said = shop.project.error("check", "--terraform", "infra")

    assert "terraform plan failed in infra: exit code 7. Fix that" in said


# --- Terraform


@pytest.mark.slow
def test_a_variable_without_a_value_is_taken_from_the_environment(shop: Shop) -> None:
    """The error names it, and following the error works."""
    if shutil.which("terraform") is None:
        unavailable("terraform is not on PATH")
    shop.path("infra/main.tf").write_text('variable "container_image" {\n  type = string\n}\n')
    shop.path("infra/.terraform").mkdir()
    check = ("check", "--terraform", "infra")

    said = shop.project.error(*check)
    result = shop.project.run(*check, "--json", TF_VAR_container_image="tasks:1")

    assert said.startswith(
        "ucam-faas: terraform plan failed in infra: No value for required variable on main.tf "
        'line 1: The root module input variable "container_image" is not set'
    )
    assert said.endswith(
        "Set TF_VAR_container_image=… in the environment, or plan yourself and give the output of "
        "`terraform show -json PLAN`."
    )
    assert {finding["rule"] for finding in json.loads(result.stdout)} >= {"terraform-task-missing"}


@pytest.mark.slow
def test_the_plan_of_a_folder_is_made_and_checked(
    terraform_shop: Terraform, terraform_plans: TerraformPlans, tmp_path: Path
) -> None:
    """A user's whole setup: the tasks, their plan's file and an initialised root module."""
    root = terraform_shop.folder.parent
    config = (root / "ucam-faas.toml").read_text().replace("strict", "lax")
    (tmp_path / "ucam-faas.toml").write_text(config)
    (tmp_path / ".git").mkdir()
    check = [sys.executable, "-m", "ucam_faas", "check", str(root / "main.py"), "--json"]
    check += ["--terraform", str(terraform_shop.folder)]

    environment = {**os.environ, **terraform_shop.environment}
    clean, faulty = (
        subprocess.run(check, cwd=folder, env=environment, capture_output=True, text=True)
        for folder in (root, tmp_path)
    )

    assert (clean.returncode, clean.stdout) == (0, "[]\n"), clean.stderr
    (finding,) = json.loads(faulty.stdout)
    assert finding["rule"] == "terraform-differs"
    assert "MODE is 'strict'" in finding["what"]
    assert finding["file"].endswith("infra/main.tf")


@pytest.mark.slow
def test_without_the_modules_files_a_finding_names_the_address(
    shop: Shop, terraform_plans: TerraformPlans
) -> None:
    plan = terraform_plans.copy(made=False)
    shop.path(TERRAFORM_PLAN).write_text(json.dumps(plan))
    shop.path("infra/main.tf").unlink()
    shop.edit("ucam-faas.toml", "strict", "lax")

    (finding,) = shop.check("--terraform", TERRAFORM_PLAN)

    assert (finding["file"], finding["line"]) == (TERRAFORM_PLAN, None)
    address = 'module.tasks.module.task["count_orders"].google_cloud_run_v2_service.this[0]'
    assert finding["address"] == address
