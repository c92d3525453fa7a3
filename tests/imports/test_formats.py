"""supervisord, compose files, Procfiles, pm2 and crontabs."""

from __future__ import annotations

import pytest

from maestro.imports.formats import Source, format_of
from tests.imports.looks import brought, remark, unit

SUPERVISORD = """\
[supervisord]
logfile=/var/log/supervisord.log

[program:web]
command=/usr/bin/web --port=%(ENV_PORT)s 'a b' $X ; a comment
directory=/srv/%(program_name)s
environment=A="1",B='x, y',
    C=50%%
autorestart=unexpected
stopsignal=QUIT
stopwaitsecs=20
redirect_stderr=true
stdout_logfile=/var/log/web.log
startsecs=5

[program:worker]
command=/usr/bin/worker %(process_num)02d
numprocs=2
autostart=false

[group:all]
programs=web,worker,gone
"""


def test_supervisord() -> None:
    found = brought(SUPERVISORD, "supervisord.conf")
    web = unit(found, "web.agent.yaml")
    agent = web["agent"]
    assert agent["exec"] == ["/usr/bin/web", "--port=${PORT}", "a b", "$$X"]
    assert agent["pass_environment"] == ["PORT"]
    assert agent["environment"] == {"A": "1", "B": "x, y", "C": "50%%"}
    assert agent["working_directory"] == "/srv/web"
    assert agent["stop"]["sequence"] == ["QUIT 20s", "KILL"]
    assert (agent["stdout"], agent["stderr"]) == ("append:/var/log/web.log", "inherit")
    assert web["install"] == {"wanted_by": ["default.target"]}
    assert unit(found, "worker@.agent.yaml")["agent"]["exec"] == ["/usr/bin/worker", "%i"]
    assert unit(found, "worker.target.yaml") == {"unit": {"wants": ["worker@0", "worker@1"]}}
    assert unit(found, "all.target.yaml")["unit"] == {"wants": ["web", "worker.target", "gone"]}
    assert remark(found, 2).words == "it is about supervisord itself"
    assert remark(found, 14).grade == "dropped"
    assert "gone: there is no such program here" in remark(found, 22).words


COMPOSE = """\
x-usual: &usual
  restart: unless-stopped
services:
  web:
    <<: *usual
    image: example/web
    command: ["web", "--price", "$$5"]
    environment:
      MODE: ${MODE:-fast}
      TOKEN: ${TOKEN}
    ports: ["80:80"]
    depends_on:
      db: {condition: service_healthy}
      setup: {condition: service_completed_successfully}
      cache: {condition: service_started}
    deploy:
      resources:
        limits: {memory: 512m, cpus: "0.5"}
  db:
    command: postgres -D /srv/db
    healthcheck:
      test: ["CMD", "pg_isready"]
      interval: 1m30s
    stop_signal: SIGINT
    stop_grace_period: 1m
    user: "70:70"
    comand: x
  setup:
    entrypoint: [/bin/sh, -c]
    command: [make]
  cache:
    image: redis
"""


def test_a_compose_file() -> None:
    found = brought(COMPOSE, "docker-compose.yml")
    web = unit(found, "web.agent.yaml")
    assert web["agent"]["exec"] == ["web", "--price", "$$5"]
    assert web["agent"]["environment"] == {"MODE": "fast"}
    assert web["agent"]["restart"]["policy"] == "always"
    assert web["unit"] == {"after": ["db", "setup"], "milestone": ["db", "setup"]}
    assert (web["resources"]["memory_max"], web["resources"]["cpu_max"]) == ("512M", "50%")
    db = unit(found, "db.agent.yaml")
    assert db["health"]["readiness"] == {"exec": ["pg_isready"], "interval": "1min 30s"}
    assert db["agent"]["stop"]["sequence"] == ["INT 1min", "KILL"]
    assert (db["agent"]["user"], db["agent"]["group"]) == ("70", "70")
    setup = unit(found, "setup.agent.yaml")["agent"]
    assert (setup["exec"], setup["type"]) == (["/bin/sh", "-c", "make"], "oneshot")
    assert remark(found, 6).words == "Maestro runs programs, not images"
    assert remark(found, 15).words == "there is no service 'cache' here that is imported"
    assert remark(found, 9).grade == "approximated"
    assert remark(found, 10).words.startswith("it takes TOKEN from the environment of docker compose")
    assert remark(found, 27).words == "no such setting of compose files is known (did you mean command?)"
    assert "cache names no command" in remark(found, 32).words


def test_a_procfile() -> None:
    found = brought(
        "# processes\nweb: bundle exec web -p $PORT\nworker: rake 50%\nnonsense\nweb: again\n", "Procfile"
    )
    assert unit(found, "web.agent.yaml")["agent"]["exec"] == ["/bin/sh", "-c", "bundle exec web -p $$PORT"]
    assert unit(found, "worker.agent.yaml")["agent"]["exec"][2] == "rake 50%%"
    assert "$PORT" in remark(found, 2).words
    assert remark(found, 4).words == "this is not NAME: COMMAND"
    assert remark(found, 5).grade == "dropped"


PM2 = """\
{
  "apps": [{
    "name": "api",
    "script": "./app.js",
    "args": "--x 'a b'",
    "cwd": "/srv/api",
    "instances": 4,
    "env": {"PORT": 8080},
    "env_production": {"A": 1},
    "max_memory_restart": "300M",
    "kill_timeout": 3000,
    "watch": false
  }],
  "deploy": {}
}
"""


def test_pm2() -> None:
    found = brought(PM2, "ecosystem.json")
    data = unit(found, "api.agent.yaml")
    assert data["agent"]["exec"] == ["node", "/srv/api/app.js", "--x", "a b"]
    assert data["agent"]["environment"] == {"PORT": "8080"}
    assert data["agent"]["stop"]["sequence"] == ["INT 3000ms", "KILL"]
    assert data["resources"]["memory_max"] == "300M"
    assert remark(found, 7).grade == "dropped"
    assert remark(found, 9).words.startswith("one of several environments")
    assert remark(found, 12).grade == "exact"
    assert remark(found, 14).words == "Maestro deploys nothing"


def test_an_ecosystem_file_that_is_a_program_says_how_to_print_it() -> None:
    [one] = brought("module.exports = {}", "ecosystem.config.js")
    assert one.text == ""
    assert "print it as JSON" in one.remarks[0].words


CRONTAB = """\
SHELL=/bin/sh
MAILTO=root
17 *    * * *   root    cd / && run-parts --report /etc/cron.hourly
@reboot www-data /usr/bin/warm 50\\% % hello
what is this
"""


def test_a_crontab() -> None:
    found = brought(CRONTAB, "/etc/crontab")
    agent = unit(found, "cron-cd.agent.yaml")["agent"]
    assert agent["exec"] == ["/bin/sh", "-c", "cd / && run-parts --report /etc/cron.hourly"]
    assert (agent["type"], agent["user"], agent["environment"]) == ("oneshot", "root", {"SHELL": "/bin/sh"})
    assert "install" not in unit(found, "cron-cd.agent.yaml")
    warm = unit(found, "cron-warm.agent.yaml")
    assert warm["agent"]["exec"][2] == "/usr/bin/warm 50%%"
    assert warm["install"] == {"wanted_by": ["default.target"]}
    assert "the schedule 17 * * * * is dropped: Maestro has no timers yet" in remark(found, 3).words
    assert "standard input" in remark(found, 4).words
    assert (remark(found, 2).grade, remark(found, 5).grade) == ("dropped", "dropped")
    mine = brought("0 4 * * 1 backup --all\n", "my.crontab")
    assert unit(mine, "cron-backup.agent.yaml")["agent"]["exec"][2] == "backup --all"


@pytest.mark.parametrize(
    ("path", "text", "format"),
    [
        ("x/web.service", "", "systemd"),
        ("x/web.service.d/a.conf", "", "systemd"),
        ("conf.d/web.conf", "[program:web]\n", "supervisord"),
        ("compose.prod.yaml", "", "compose"),
        ("stack.yml", "services:\n  a: {}\n", "compose"),
        ("Procfile.dev", "", "procfile"),
        ("apps.json", '{"apps": []}', "pm2"),
        ("cron.d/backup", "", "crontab"),
        ("mine", "*/5 * * * * true\n", "crontab"),
        ("mine", "web: run\n", "procfile"),
        ("README.txt", "Hello.\n", ""),
    ],
)
def test_the_format_is_told_by_name_or_content(path: str, text: str, format: str) -> None:
    assert format_of(Source(path, text.encode())) == format


def test_of_two_units_of_one_name_the_first_counts() -> None:
    found = brought("web: a\n", "Procfile", ("compose.yml", "services: {web: {command: b}}\n"))
    assert unit(found, "web.agent.yaml")["agent"]["exec"][2] == "a"
    told = [one.words for made in found for one in made.remarks if one.file == "compose.yml"]
    assert told == ["web.agent.yaml is made from Procfile already"] * 2
