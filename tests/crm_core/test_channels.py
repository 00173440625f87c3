"""The mailer reads the channels on file through the gate, and only under a ground of its own."""

import pytest

from crm_core.reading import channels
from issuer.mail import Channels
from runtime.problem import Problem


def test_without_a_ground_there_are_no_channels(stage):
    subject = stage.customer(contact__email="wei@example.com", contact__phone="+86100")
    assert channels.channels(stage.platform, stage.gate)(subject) == Channels(email=None, phone=None)


def test_under_the_ground_for_invitations_they_are_read_and_the_release_is_on_record(stage):
    stage.contract("invitation", "contact.email", "contact.phone")
    subject = stage.customer(contact__email="wei@example.com")
    assert channels.channels(stage.platform, stage.gate)(subject) == Channels(email="wei@example.com", phone=None)
    (event,) = stage.events("release")
    assert event.header["role"] == "mailer"
    assert event.header["purpose"].endswith("#CommunicationManagement")


@pytest.mark.parametrize("role", ["sales", "service", "marketing", "dpo", "admin", "auditor"])
def test_no_member_of_staff_may_read_for_that_purpose(stage, role):
    with pytest.raises(Problem) as caught:
        stage.visit(role, "invitation")
    assert caught.value.code == "role"


def test_an_unknown_customer_has_none(stage):
    with pytest.raises(Problem) as caught:
        channels.channels(stage.platform, stage.gate)("sub_nobody")
    assert caught.value.code == "unknown_subject"
