"""What is on record about the owner, in words of two languages: events, standings, reasons for withholding."""

from collections.abc import Mapping

EN: Mapping[str, str] = {
    "value.collected": "collected",
    "value.corrected": "corrected",
    "value.sealed": "archived",
    "value.shredded": "destroyed",
    "value.kept": "kept",
    "value.restored": "back from the archive",
    "invitation.sent": "invitation sent",
    "enrolment.completed": "wallet enrolled",
    "enrolment.refused": "enrolment refused",
    "enrolment.ended": "enrolment ended",
    "ask.made": "asked for consent",
    "consent.given": "consent given",
    "consent.narrowed": "consent narrowed",
    "consent.refused": "ask refused",
    "consent.withdrawn": "consent withdrawn",
    "consent.revoked": "consent ended by the organisation",
    "consent.expired": "consent expired",
    "consent.shut": "gate shut",
    "release": "read",
    "refusal": "reading refused",
    "attempt.refused": "false evidence refused",
    "subject.quarantined": "closed after tampering",
    "certificate.issued": "certificate issued",
    "bundle.exported": "evidence exported",
    "value.held": "brought without a ground, held sealed",
    "held.ended": "no longer held",
    "no_ground": "no ground",
    "withdrawn": "withdrawn",
    "expired": "expired",
    "purpose_not_granted": "not for this purpose",
    "recipient_not_granted": "not for this recipient",
    "jurisdiction": "not at this place",
    "role": "not for this role",
    "withheld": "withheld, {reason}: {fields}",
    "by": "{what}, by {who}",
    "given": "given",
    "narrowed": "narrowed",
    "refused": "refused",
    "revoked": "ended by the organisation",
    "living": "in force",
    "sent": "sent, no answer yet",
    "superseded": "replaced",
    "keep": "kept",
    "seal": "archived",
    "shred": "destroyed",
    "days": "{count} days",
    "months": "{count} months",
    "years": "{count} years",
}
ZH: Mapping[str, str] = {
    "value.collected": "收集",
    "value.corrected": "更正",
    "value.sealed": "归档",
    "value.shredded": "销毁",
    "value.kept": "保留",
    "value.restored": "从归档恢复",
    "invitation.sent": "发出邀请",
    "enrolment.completed": "钱包登记",
    "enrolment.refused": "登记被拒",
    "enrolment.ended": "登记终止",
    "ask.made": "请求同意",
    "consent.given": "同意",
    "consent.narrowed": "缩小同意范围",
    "consent.refused": "拒绝请求",
    "consent.withdrawn": "撤回同意",
    "consent.revoked": "组织终止同意",
    "consent.expired": "同意到期",
    "consent.shut": "闸门关闭",
    "release": "读取",
    "refusal": "读取被拒",
    "attempt.refused": "无效证明被拒",
    "subject.quarantined": "发现篡改，已锁闭",
    "certificate.issued": "出具证明",
    "bundle.exported": "导出证据",
    "value.held": "无依据提交，封存待定",
    "held.ended": "封存结束",
    "no_ground": "无依据",
    "withdrawn": "已撤回",
    "expired": "已过期",
    "purpose_not_granted": "未授权此用途",
    "recipient_not_granted": "未授权此接收方",
    "jurisdiction": "未授权此地点",
    "role": "未授权此角色",
    "withheld": "未提供（{reason}）：{fields}",
    "by": "{what}（{who}）",
    "given": "已同意",
    "narrowed": "已缩小范围",
    "refused": "已拒绝",
    "revoked": "已被组织终止",
    "living": "有效",
    "sent": "已发送，尚无答复",
    "superseded": "已被替代",
    "keep": "保留",
    "seal": "已归档",
    "shred": "已销毁",
    "days": "{count} 天",
    "months": "{count} 个月",
    "years": "{count} 年",
}


def said(language: str, word: str, **values: object) -> str:
    """A word of the record in a language of `wallet.words.language`; one that is not known stays as it is."""
    found = (ZH if language == "zh" else EN).get(word)
    return word if found is None else found.format(**values)


def lasting(language: str, duration: str) -> str:
    """An ISO 8601 duration of one unit, such as ``P180D``, in words; any other as it is."""
    count, unit = duration[1:-1], {"D": "days", "M": "months", "Y": "years"}.get(duration[-1:])
    if duration[:1] != "P" or not (count.isascii() and count.isdigit()) or unit is None:
        return duration
    text = said(language, unit, count=int(count))
    return text[:-1] if language == "en" and int(count) == 1 else text
