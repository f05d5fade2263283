"""What other tests rely on: that the databases are fresh and the hosts are alike."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

import pytest
import sqlalchemy as sa

from tests import _databases
from tests._hosts import Host
from tests._smtp import MailServer


def test_an_empty_database_is_empty(database_url: str) -> None:
    engine = sa.create_engine(database_url, poolclass=sa.pool.NullPool)
    assert sa.inspect(engine).get_table_names() == []


@pytest.mark.parametrize("dialect", _databases.DIALECTS)
def test_a_migrated_database_is_fresh_each_time(dialect: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    contents = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with _databases.migrated(dialect, folder) as url:
            engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
            with engine.begin() as connection:
                metadata = sa.MetaData()
                metadata.reflect(connection)
                contents.append(
                    {
                        name: connection.execute(sa.select(table)).all()
                        for name, table in metadata.tables.items()
                    }
                )
                left_behind = sa.Table("left_behind", sa.MetaData(), sa.Column("n", sa.Integer))
                left_behind.create(connection)
                lease = metadata.tables["engage_alembic_version"]
                connection.execute(sa.delete(lease))
    assert contents[0] == contents[1]
    assert "engage_person" in contents[0]


def test_every_host_logs_its_user_in(host: Host) -> None:
    app = host.create_app()
    user_id = host.add_user(app, "grace@example.com")
    client = app.test_client()
    assert client.get("/me").json == {"id": None}
    assert client.get(f"/login/{user_id}").status_code == 302
    assert client.get("/me").json == {"id": str(user_id)}


def test_the_mail_server_counts_what_it_accepted(smtp_server: MailServer) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Message-ID"] = "a@example.com", "b@example.com", "<1@x>"
    mail.set_content("Hello")
    for _ in range(2):
        with smtplib.SMTP("127.0.0.1", int(smtp_server.url.rpartition(":")[2])) as client:
            client.send_message(mail)
    smtp_server.wait_for(2)
    assert smtp_server.bodies == {"<1@x>": 2}
    assert smtp_server.recipients == {"b@example.com": 2}
