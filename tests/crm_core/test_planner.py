"""The planner over a real gate: what is released, filtered, sorted and paged."""


def test_a_granted_field_is_released_and_another_carries_a_reason(stage):
    subject = stage.customer(contact__email="wei@example.com", address__city="上海", contact__phone="+8610000")
    stage.grant(subject, "contact.email", "address.city")
    item = stage.one(subject, "contact.email", "contact.phone", "address.city").items[0]
    assert item.fields == {"contact.email": "wei@example.com", "address.city": "上海"}
    assert item.withheld == {"contact.phone": "no_ground"}
