"""Carry out the audits that operators ask for: is any money missing?"""

import structlog
from psycopg import Connection

from shared.database import invariants
from shared.database.auditing import claim_audit, finish_audit

log = structlog.get_logger()


def audit(connection: Connection) -> bool:
    """Carry out the next audit that was asked for, and say whether there was one.

    Raises:
        psycopg.Error: PostgreSQL is in trouble; the audit is begun again.
    """
    audit_id = claim_audit(connection)
    if audit_id is None:
        return False
    violations = list(invariants.find_violations(connection))
    report = {"holds": not violations, "summed": invariants.sum_up(connection), "violations": violations}
    finish_audit(connection, audit_id, report=report)
    for violation in violations:
        log.critical("audit.violated", **violation)
    log.info("audit.finished", audit_id=str(audit_id), holds=report["holds"])
    return True
