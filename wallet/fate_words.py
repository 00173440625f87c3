"""The words of `fieldgrant wallet fate`, English and Chinese; every key exists in both."""

from collections.abc import Mapping

EN: Mapping[str, str] = {
    "fields": "Your fields that lost a ground",
    "openings": "Archived fields that were opened",
    "elsewhere": "Others who had your data",
    "certificates": "Certificates",
    "nothing": "None.",
    "your_consent": "your consent {id}",
    "state_pending": "being carried out",
    "state_kept": "kept, because of {why}",
    "state_sealed": "archived under {why}, destroyed on {until}",
    "state_shredded": "destroyed, its key is gone",
    "state_destroyed": "destroyed out of the archive, its key is gone",
    "state_restored": "back from the archive under your new consent",
    "state_restoring": "coming back from the archive",
    "state_waiting": "waiting for the officer: the key of the archive lies with the data protection officer",
    "opened": "{field}, {at}Z: {reason}, under {legal_ground}; approved by {approved_by}",
    "reason_legal_claim": "a legal claim",
    "reason_authority_order": "an order of an authority",
    "reason_data_subject_request": "your own request",
    "reason_integrity_check": "a check that the archive is whole",
    "reason_end_of_purpose": "the purpose ended",
    "told_open": "not told yet; to be deleted by {deadline}",
    "told_delivered": "told; to be deleted by {deadline}, no answer yet",
    "told_acknowledged": "confirmed with their signature that it is gone",
    "told_kept": "keeps it, because of {citation}",
    "told_overdue": "overdue since {deadline}: no answer",
    "told_disputed": "the organisation holds an answer that does not prove itself",
    "signed": "Signature holds, it is about you.",
    "proved": "In the log at {leaves}, proved.",
    "unproved": "In the log: {proved} of {total} proved ({code}).",
    "still_open": "Still open elsewhere: {count}.",
}
ZH: Mapping[str, str] = {
    "fields": "您失去依据的字段",
    "openings": "被打开的归档字段",
    "elsewhere": "曾持有您数据的其他方",
    "certificates": "处置证明",
    "nothing": "无。",
    "your_consent": "您的同意 {id}",
    "state_pending": "正在处置",
    "state_kept": "保留，依据：{why}",
    "state_sealed": "已归档，依据：{why}；将于 {until} 销毁",
    "state_shredded": "已销毁，密钥已不存在",
    "state_destroyed": "归档已销毁，密钥已不存在",
    "state_restored": "已依据您的新同意从归档恢复",
    "state_restoring": "正在从归档恢复",
    "state_waiting": "等待负责人：归档密钥在个人信息保护负责人处",
    "opened": "{field}，{at}Z：{reason}，依据 {legal_ground}；批准人 {approved_by}",
    "reason_legal_claim": "法律请求",
    "reason_authority_order": "主管机关的命令",
    "reason_data_subject_request": "您本人的请求",
    "reason_integrity_check": "检查归档是否完整",
    "reason_end_of_purpose": "目的已终止",
    "told_open": "尚未告知；须在 {deadline} 前删除",
    "told_delivered": "已告知；须在 {deadline} 前删除，尚无答复",
    "told_acknowledged": "已签名确认删除",
    "told_kept": "继续保留，依据：{citation}",
    "told_overdue": "自 {deadline} 起逾期：没有答复",
    "told_disputed": "组织持有的答复无法证明其真实",
    "signed": "签名有效，内容关于您。",
    "proved": "已在日志第 {leaves} 位，证明有效。",
    "unproved": "日志：{total} 项中已证明 {proved} 项（{code}）。",
    "still_open": "其他方尚未完成：{count}。",
}


def say(language: str, key: str, **values: object) -> str:
    """A sentence in a language of `wallet.words.language`; a state that is not known stays as it is."""
    found = (ZH if language == "zh" else EN).get(key)
    return key.partition("_")[2] if found is None else found.format(**values)
