"""`--help` in Chinese, for owners whose locale or `--lang` says so. What has no entry here stays English."""

import sys
from collections.abc import Mapping
from typing import Any

import typer.rich_utils
from typer.core import TyperGroup

from wallet import words
from wallet.errors import WalletError

ZH: Mapping[str, str] = {
    "Your own keys: answer what organisations ask, withdraw, and see who read what.": (
        "您自己的密钥：答复组织的请求，撤回同意，查看谁读取了什么。"
    ),
    "Begin with: fieldgrant wallet init, then fieldgrant wallet enrol 'fieldgrant://enrol?…'. The passphrase is asked "
    "for; a program sets FIELDGRANT_WALLET_PASSPHRASE, and FIELDGRANT_WALLET_BACKUP_PASSPHRASE for a backup.": (
        "开始：fieldgrant wallet init，然后 fieldgrant wallet enrol 'fieldgrant://enrol?…'。口令会在运行时询问；"
        "程序可设置 FIELDGRANT_WALLET_PASSPHRASE，备份用 FIELDGRANT_WALLET_BACKUP_PASSPHRASE。"
    ),
    "Make a new wallet, sealed under a passphrase.": "创建新钱包，用口令密封。",
    "Accept an invitation: a new DID for this organisation alone, and the code from the second channel.": (
        "接受邀请：为该组织单独生成新的 DID，并输入从第二渠道收到的验证码。"
    ),
    "Show what is asked of you: purpose, fields, who, where, how long, and the notice.": (
        "查看向您提出的请求：用途、字段、接收方、地点、期限和告知书。"
    ),
    "Allow exactly the fields that you tick, for as long as you say.": "只允许您勾选的字段，期限由您决定。",
    "Keep only the fields that you tick; the rest of the consent ends in the same step.": (
        "只保留您勾选的字段；同意的其余部分同时结束。"
    ),
    "End a consent. When this returns, nothing is read under it any more.": (
        "撤回同意。命令返回之后，不再有人依据它读取。"
    ),
    "Say no to a whole ask, on record.": "拒绝整个请求，并留有记录。",
    "Who read what of yours, when and what for; refused attempts too.": (
        "谁在何时为何目的读取了您的什么数据；被拒绝的尝试也在内。"
    ),
    "The organisation's signed answers to what you decided, and certificates of what became of your data.": (
        "组织对您的决定所签署的回执，以及您的数据处置证明。"
    ),
    "Write everything, keys included, into a file sealed under a passphrase of its own.": (
        "将全部内容（包括密钥）写入一个文件，用单独的口令密封。"
    ),
    "Make a wallet out of a backup, where there is none yet.": "在还没有钱包的地方，由备份恢复钱包。",
    "Organisations, your consents and how each stands.": "组织、您的同意及其状态。",
    "Your rights: a copy, an explanation, correction, data to take along, erasure, objection, restriction.": (
        "您的权利：查阅全部数据、请求说明、更正、转移副本、删除、反对、限制处理。"
    ),
    "Everything that is held about you, with where it came from and who got it; sealed to this wallet's key.": (
        "关于您的全部数据，及其来源和接收方；只有此钱包的密钥能打开。"
    ),
    "The data that you provided, to take along: JSON and a vCard 4.0.": (
        "您提供的数据，可随身带走：JSON 和 vCard 4.0。"
    ),
    "Ask why one read of your history took place; the data protection officer answers in words.": (
        "询问记录中某次读取的原因；由个人信息保护负责人以文字答复。"
    ),
    "The read: its entry in `history`, or the beginning of it.": ("该次读取：`history` 中的编号，或编号开头。"),
    "Propose right values, sealed so that only the organisation's records open them.": (
        "提出正确的内容，密封后只有组织的档案能打开。"
    ),
    "End every consent and every ground that may end. What the law makes the organisation keep is told to you.": (
        "终止所有可以终止的同意和依据。法律要求组织保留的，会告知您。"
    ),
    "Object to a use without your consent: held back at once; for direct marketing it ends at once.": (
        "反对未经您同意的使用：立即暂停；如为直接营销则立即终止。"
    ),
    "Have every use without your consent held back, but what the law demands, while something is looked into.": (
        "在核查期间，暂停一切未经您同意的使用，法律要求的除外。"
    ),
    "What you asked for: where each request stands and until when it is to be answered.": (
        "您提出的请求：各自的进展和答复期限。"
    ),
    "Fetch and open the answer to a request for a copy; within seven days as often as you like.": (
        "取回并打开副本请求的答复；七天内次数不限。"
    ),
    "Open an answer in a file, without a wallet: you get its passphrase from somebody else at the organisation.": (
        "无需钱包，打开答复文件：口令由组织的另一位人员告知您。"
    ),
    "Directory to write the answer to, for you alone (mode 0600).": ("写入答复的目录，仅您可读（权限 0600）。"),
    "Fields to correct; you are asked for each value.": ("要更正的字段；逐一询问内容。"),
    "FIELD=VALUE instead of being asked; others on this machine may see it.": (
        "直接写 字段=内容，不再询问；本机其他人可能看到。"
    ),
    "The purpose: its name as `show --online` has it, or its IRI.": ("用途：`show --online` 中的名称，或其 IRI。"),
    "One ground only: its id, or the beginning of it.": ("只针对一个依据：其编号或编号开头。"),
    "The request's id, or the beginning of it.": ("请求的编号，或编号开头。"),
    "The file that you were given or sent.": ("交给您或寄给您的文件。"),
    "What became of your fields: kept and why, archived until when, destroyed; who else was told to delete them.": (
        "您的字段的去向：因何保留、归档至何时、是否销毁；还通知了谁删除。"
    ),
    "The wallet's file.": "钱包文件。",
    "en or zh-CN; else as your locale says.": "en 或 zh-CN；不写则按系统语言。",
    "Print JSON for programs.": "输出 JSON，供程序使用。",
    "Organisation: its DID, a part of it, or its URL.": "组织：其 DID、DID 的一部分或网址。",
    "Do not ask again.": "不再询问。",
    "Fields to allow, comma-separated; PURPOSE:FIELD with several purposes.": (
        "允许的字段，用逗号分隔；有多个用途时写作 用途:字段。"
    ),
    "Last day, e.g. 2027-05-21; else as long as asked.": "最后一天，如 2027-05-21；不写则按请求的期限。",
    "The invitation link, as it came by mail.": "邮件中的邀请链接。",
    "The code that you get at the desk; one sent by phone is asked for (each start sends a new one).": (
        "在柜台登记时的验证码；发到手机的验证码由钱包询问，因为每次启动都会发送新的验证码。"
    ),
    "The ask's id, or the beginning of it.": "请求的编号，或其开头几位。",
    "The consent's id, or the beginning of it.": "同意的编号，或其开头几位。",
    "How many entries.": "显示多少条。",
    "Continue after an earlier page.": "接着上一页继续。",
    "The backup's file; it must not exist.": "备份文件；不得已经存在。",
    "The backup's file.": "备份文件。",
    "Also ask the organisation: later ends, grounds.": "同时询问组织：之后的结束、法定依据。",
    "Show this message and exit.": "显示此帮助。",
}
_PANELS = {"ARGUMENTS_PANEL_TITLE": "参数", "OPTIONS_PANEL_TITLE": "选项", "COMMANDS_PANEL_TITLE": "命令"}


class Spoken(TyperGroup):
    """A group of commands whose help is in the owner's language."""

    # Any: the classes behind it are private to typer, which carries a click of its own
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, its help translated."""
        command = super().get_command(ctx, cmd_name)
        if command is not None and chinese():
            translate(command)
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help of the group itself."""
        if chinese():
            translate(self)
        super().format_help(ctx, formatter)


def chinese() -> bool:
    """Does the owner read Chinese? What `--lang` says counts before the locale."""
    wanted = None
    for at, word in enumerate(sys.argv):
        if word == "--lang":
            wanted = next(iter(sys.argv[at + 1 :]), None)
        elif word.startswith("--lang="):
            wanted = word.removeprefix("--lang=")
    try:
        return words.language(wanted) == "zh"
    except WalletError:  # the command itself will say so
        return False


def translate(command: Any) -> None:
    """Put Chinese in the place of a command's English help, options and headings."""
    for name, title in _PANELS.items():
        setattr(typer.rich_utils, name, title)
    command.help = _zh(command.help)
    command.epilog = _zh(command.epilog)
    command.short_help = _zh(command.short_help)
    for each in command.params:
        if getattr(each, "help", None):
            each.help = _zh(each.help)


def _zh(text: str | None) -> str | None:
    if text is None:
        return None
    if text.startswith("Example: "):
        return "例：" + text.removeprefix("Example: ")
    return ZH.get(text, text)
