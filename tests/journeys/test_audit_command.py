"""Have the ledger of a running system audited: as it is, and with money that came from nowhere."""

from pathlib import Path
from secrets import token_hex

import psycopg

from tests.journeys.command_line import at, hishab, wallets
from tests.running_system import System

MAKE_MONEY = "UPDATE wallets SET balance = balance + %s WHERE id = %s"


class TestAudit:
    def test_prints_what_it_summed_where_the_ledger_holds(self, system: System, tmp_path: Path) -> None:
        file = tmp_path / "accounts.csv"
        file.write_text(f"external_id,currency,balance\n{token_hex(4)},CZK,3.00\n")
        assert hishab("wallets", file, *at(system)).exit_code == 0
        ended = hishab("audit", *at(system))
        assert ended.exit_code == 0, ended
        assert ended.document["holds"] is True
        (koruna,) = [row for row in ended.document["summed"]["currencies"] if row["currency"] == "CZK"]
        assert koruna["issued"] == koruna["held"] >= 300
        in_words = hishab("audit", "--data-dir", system.data_dir)
        assert in_words.exit_code == 0
        assert "The ledger holds." in in_words.out
        assert "CZK" in in_words.out

    def test_names_the_wallet_where_it_does_not_hold(self, system: System, tmp_path: Path) -> None:
        name = token_hex(4)
        file = tmp_path / "accounts.csv"
        file.write_text(f"external_id,currency,balance\n{name},CZK,3.00\n")
        assert hishab("wallets", file, *at(system)).exit_code == 0
        wallet_id = wallets(system, name)[name].id
        with psycopg.connect(system.database_url, autocommit=True) as connection:
            connection.execute(MAKE_MONEY, [1, wallet_id])
            try:
                ended = hishab("audit", *at(system))
                in_words = hishab("audit", "--data-dir", system.data_dir)
            finally:
                connection.execute(MAKE_MONEY, [-1, wallet_id])
        assert (ended.exit_code, ended.document["holds"]) == (1, False), ended
        assert wallet_id in {violation["wallet_id"] for violation in ended.document["violations"]}
        assert in_words.exit_code == 1
        assert f"wallet {wallet_id}" in in_words.out
