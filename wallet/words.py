"""The words of the terminal, English and Chinese. Every key exists in both; codes stay as they are in any language."""

import os
from collections.abc import Mapping

from wallet.errors import WalletError

EN: Mapping[str, str] = {
    "passphrase": "Passphrase of the wallet",
    "passphrase_new": "New passphrase of the wallet (at least 8 characters; nobody can recover it)",
    "passphrase_backup": "Passphrase of the backup",
    "passphrase_backup_new": "Passphrase for the backup (at least 8 characters)",
    "made": "The wallet is made: {path}. Next: fieldgrant wallet enrol, with the link of an invitation",
    "code": "Code that was sent to {channel}",
    "enrolled": (
        "Enrolled with {organisation}. It knows you as {did}, and nobody else does. Next: fieldgrant wallet asks"
    ),
    "no_asks": "Nothing is asked of you.",
    "rejected": "Not shown, because it is not what it should be: {id} ({code}: {detail})",
    "ask": "Ask",
    "consent": "Consent",
    "purpose": "Purpose",
    "processing": "What is done",
    "fields": "Fields",
    "recipients": "Who receives it",
    "places": "Where",
    "data_life": "Data kept for",
    "until": "Consent until",
    "answer_by": "Answer by",
    "organisation": "Organisation",
    "standing": "Standing",
    "when": "When",
    "what": "What",
    "shut": "Shut since",
    "tick": "Allow {field} for {purpose}?",
    "given": "Consent given: {id}. To end it: fieldgrant wallet withdraw {id}",
    "narrowed": "Narrowed; from now on only this consent holds: {id}",
    "withdrawn": "Withdrawn. Since {shut} nothing is read under this consent.",
    "refused": "Refused. The answer is on record.",
    "withdraw_effect": (
        "If you withdraw, {organisation} may no longer use {fields} under this consent. What has no other ground is "
        "archived or destroyed, and you receive a certificate. What was done before stays lawful."
    ),
    "withdraw_ask": "Withdraw now?",
    "refuse_ask": "Refuse the whole ask? It gives the organisation nothing.",
    "kept": "Nothing was changed.",
    "no_consents": "No consents yet.",
    "no_organisations": "Not enrolled anywhere yet. Open an invitation: fieldgrant wallet enrol 'fieldgrant://enrol?…'",
    "not_finished": "The enrolment is not finished. Open the invitation again, or ask for a new one.",
    "tried": "Wrong passphrases since this wallet was last opened: {count}, the latest at {last} (UTC).",
    "no_terminal": "set {name}, or run this in a terminal, where the passphrase is asked for",
    "ends": "Ends",
    "destroy_by": "Destroyed by",
    "no_history": "Nothing is on record yet.",
    "no_receipts": "No receipts yet.",
    "more": "More: fieldgrant wallet history --before {next}",
    "backed_up": "The backup is written: {path}. Keep it and its passphrase apart.",
    "restored": "The wallet is restored: {path}",
    "grounds": "Used without your consent, because the law permits it",
    "until_enrolled": "ended for you when you enrolled",
    "citation": "Because of",
    "certificates": "What became of your data",
    "disposition": "What happened",
    "resumed": "An answer that had not arrived was sent again: {event}.",
    "right_value": "The right value of {field}",
    "erase_effect": (
        "{organisation} will end every consent and every use that may end, and destroy or archive what has no other "
        "ground. What a law or a running contract keeps is named to you. It cannot be undone."
    ),
    "erase_ask": "Have your data erased?",
    "no_requests": "Nothing was asked yet. See: fieldgrant wallet request --help",
    "asked": "{kind} ({id}): {state}; to be answered by {due}. See: fieldgrant wallet requests",
    "stays": "Stays: {fields}. Because of {because}",
    "copied": "Written, for you alone: {files}",
    "more_in_files": "With --out or --json you get all of it: recipients, grounds, archive, history.",
    "passphrase_answer": "Passphrase of the answer",
    "value": "Value",
    "source": "Came from",
    "request": "Request",
    "entry": "Entry",
    "because": "Because of",
}
ZH: Mapping[str, str] = {
    "passphrase": "钱包口令",
    "passphrase_new": "新的钱包口令（至少 8 个字符；遗失后无人能找回）",
    "passphrase_backup": "备份口令",
    "passphrase_backup_new": "为备份设置口令（至少 8 个字符）",
    "made": "钱包已创建：{path}。下一步：用邀请链接运行 fieldgrant wallet enrol",
    "code": "发送到 {channel} 的验证码",
    "enrolled": "已在 {organisation} 登记。您在那里的身份是 {did}，其他组织不知道它。下一步：fieldgrant wallet asks",
    "no_asks": "目前没有向您提出的请求。",
    "rejected": "未予显示，因为内容有问题：{id}（{code}：{detail}）",
    "ask": "请求",
    "consent": "同意",
    "purpose": "用途",
    "processing": "如何处理",
    "fields": "字段",
    "recipients": "接收方",
    "places": "地点",
    "data_life": "数据保存期限",
    "until": "同意有效至",
    "answer_by": "请在此之前答复",
    "organisation": "组织",
    "standing": "状态",
    "when": "时间",
    "what": "事项",
    "shut": "关闭时间",
    "tick": "允许将 {field} 用于 {purpose} 吗？",
    "given": "已同意：{id}。如要撤回：fieldgrant wallet withdraw {id}",
    "narrowed": "已缩小范围；今后只有此同意有效：{id}",
    "withdrawn": "已撤回。自 {shut} 起不再依据此同意读取任何数据。",
    "refused": "已拒绝。您的答复已记录在案。",
    "withdraw_effect": (
        "撤回后，{organisation} 不得再依据此同意使用 {fields}。没有其他依据的数据将被归档或销毁，您会收到证明。"
        "撤回前的使用仍然合法。"
    ),
    "withdraw_ask": "现在撤回吗？",
    "refuse_ask": "拒绝整个请求吗？组织将得不到任何数据。",
    "kept": "没有任何改变。",
    "no_consents": "尚无同意。",
    "no_organisations": "尚未在任何组织登记。请打开邀请：fieldgrant wallet enrol 'fieldgrant://enrol?…'",
    "not_finished": "登记尚未完成。请重新打开邀请，或索取新的邀请。",
    "tried": "自上次打开钱包以来口令输错 {count} 次，最近一次在 {last}（UTC）。",
    "no_terminal": "请设置 {name}，或在终端中运行并输入口令",
    "ends": "终止时间",
    "destroy_by": "最迟销毁时间",
    "no_history": "尚无记录。",
    "no_receipts": "尚无回执。",
    "more": "更多：fieldgrant wallet history --before {next}",
    "backed_up": "备份已写入：{path}。请将备份与口令分开保管。",
    "restored": "钱包已恢复：{path}",
    "grounds": "依法无须您同意的使用",
    "until_enrolled": "已随您的登记对您终止",
    "citation": "依据",
    "certificates": "您的数据的处置结果",
    "disposition": "处置",
    "resumed": "此前未送达的答复已重新发送：{event}。",
    "right_value": "{field} 的正确内容",
    "erase_effect": (
        "{organisation} 将终止所有可以终止的同意和使用，并销毁或归档没有其他依据的数据。"
        "法律或仍在履行的合同要求保留的，会逐项告知您。此操作无法撤销。"
    ),
    "erase_ask": "确定请求删除您的数据吗？",
    "no_requests": "尚未提出请求。请看：fieldgrant wallet request --help",
    "asked": "{kind}（{id}）：{state}；答复期限 {due}。查看：fieldgrant wallet requests",
    "stays": "保留：{fields}。依据：{because}",
    "copied": "已写入，仅您可读：{files}",
    "more_in_files": "使用 --out 或 --json 可得到全部内容：接收方、依据、归档、记录。",
    "passphrase_answer": "答复文件的口令",
    "value": "内容",
    "source": "来源",
    "request": "请求",
    "entry": "编号",
    "because": "依据",
}
ZH_ERRORS: Mapping[str, str] = {
    "wrong_passphrase": "口令无法打开此文件，请重试",
    "no_wallet": "这里还没有钱包，请先运行 fieldgrant wallet init",
    "wallet_exists": "这里已有钱包，未作任何改动",
    "wallet_busy": "另一个程序正在使用此钱包，请待其结束后重试",
    "weak_passphrase": "口令至少需要 8 个字符",
    "bad_wallet": "此文件不是 Fieldgrant 钱包或备份，或已损坏",
    "no_backup": "没有这个备份文件",
    "file_exists": "同名文件已存在，请另选名称",
    "bad_link": "邀请链接不完整或不正确，请完整复制",
    "document_mismatch": "这不是邀请您的组织，请勿继续",
    "already_enrolled": "此钱包已在该组织登记",
    "not_enrolled": "此钱包没有在这样的组织登记，请打开其邀请",
    "which_organisation": "有多个组织，请用 --org 指明",
    "insecure_url": "只访问 https 地址，请勿使用此链接",
    "unreachable": "组织没有应答，请稍后再试",
    "unknown_ask": "没有这样的待答请求，请用 fieldgrant wallet asks 查看",
    "unknown_consent": "没有这样的同意，请用 fieldgrant wallet show 查看",
    "ambiguous": "编号不唯一，请多写几位",
    "unknown_field": "请求中没有这个字段",
    "unknown_purpose": "请求中没有这个用途",
    "nothing_chosen": "没有选择任何字段；如要拒绝，请用 fieldgrant wallet refuse",
    "which_purpose": "请求有多个用途，请将每个字段写作 用途:字段",
    "bad_until": "请选择将来的日期，且不得晚于请求允许的日期",
    "bad_date": "日期须写作 2027-05-21",
    "narrowing_offer": "此请求用于缩小范围，请用 fieldgrant wallet narrow",
    "notice_mismatch": "告知书与请求所指不符，请勿答复",
    "not_narrower": "新的同意没有在原有同意的范围内缩小",
    "receipt_mismatch": "回执与您签署的内容不符，请保留并询问组织",
    "status_mismatch": "公开状态列表与回执不符，请询问组织",
    "unknown_request": "没有这样的请求，请用 fieldgrant wallet requests 查看",
    "unknown_read": "您的记录中没有这次读取，请用 fieldgrant wallet history 查看",
    "unknown_ground": "没有这样的依据，或不止一个，请用 show --online 查看",
    "no_answer_file": "没有这个文件",
    "bad_answer_file": "这不是 Fieldgrant 的答复文件，或已损坏",
    "answer_over": "此答复已过期，请重新请求",
    "request_open": "相同的请求正在处理中",
    "nothing_to_object": "没有这样的依据用于您；同意请用撤回",
    "cannot_write": "文件无法读写，请检查位置和权限",
}


def language(wanted: str | None) -> str:
    """``en`` or ``zh``: as wanted, else as the locale says; WalletError ``unknown_language``."""
    if wanted is not None:
        short = wanted.lower().replace("_", "-").partition("-")[0]
        if short not in ("en", "zh"):
            raise WalletError("unknown_language", "the languages are en and zh-CN")
        return short
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def say(language: str, key: str, **values: object) -> str:
    """A sentence or a heading in a language of `language`."""
    return (ZH if language == "zh" else EN)[key].format(**values)


def error(language: str, code: str, detail: str) -> str:
    """What went wrong and what to do, in one line after its code."""
    if language == "zh" and code in ZH_ERRORS:
        return f"{code}：{ZH_ERRORS[code]}"
    return f"{code}: {detail}"
