"""The text that lies in every bundle: what it is and how to check it, in English and Chinese."""

TEXT = """\
FIELDGRANT EVIDENCE BUNDLE

What became of one person's data: where each value came from, on which ground it was used, every time it was released or
withheld, and what happened when the ground ended. No values are in here, only the names of fields.

How to check it, offline:

    fieldgrant audit verify BUNDLE.zip --log-key LOG.vkey

Take LOG.vkey from a source that you trust and not from whoever gave you this file. The exit status is 0 when everything
holds, 1 when something is wrong, 2 when nothing is wrong but something that must follow is not there (yet).

How to check it with other software:

  statement.dsse.json   in-toto Statement v1 in a DSSE envelope, Ed25519, the log's key: names the manifest by SHA-256
  manifest.json         SHA-256 of every other file
  checkpoint            head of the log: C2SP signed note and tlog-checkpoint (Go: golang.org/x/mod/sumdb/note)
  chain.json            SHA-256 commitments of all records about this person, in order
                        link(n) = SHA-256(0x02, n as 8 bytes, link(n-1), commitment(n)); before the first: 32 zero bytes
  events/, organisation/
                        one record each. commitment = SHA-256(salt, record as JCS, RFC 8785); its link is in the
                        small tree whose root the leaf names; the leaf is in the log (both trees: RFC 6962)
  credentials/          W3C Verifiable Credentials as they were signed (Data Integrity, eddsa-jcs-2022, eddsa-rdfc-2022)
  controller.json       the organisation's did:web document; its digest is in the log (controller.published)

A bundle for one field shows the records that concern it; the others are in chain.json as commitments only.
So do the reads outside of a bundle for one purpose or one stretch of time ("scope" in the statement).


FIELDGRANT 证据包

本文件说明某个人的数据的去向:每个值从何而来、依据什么使用、每次提供或拒绝提供、依据终止后如何处置。
文件中没有任何数据值,只有字段名称。

离线验证:

    fieldgrant audit verify BUNDLE.zip --log-key LOG.vkey

请从您信任的来源取得 LOG.vkey,不要使用提供本文件者给出的密钥。退出码 0 表示全部成立,1 表示有错误,
2 表示没有错误,但缺少应有的后续记录。

也可用其他软件验证:

  statement.dsse.json   in-toto Statement v1,DSSE 封装,以日志密钥 Ed25519 签名,以 SHA-256 指明 manifest.json
  manifest.json         其余每个文件的 SHA-256
  checkpoint            日志头:C2SP signed note 与 tlog-checkpoint
  chain.json            关于此人的全部记录的承诺值,按顺序排列
  events/, organisation/
                        每个文件一条记录:加盐承诺 → 链 → 小树 → 日志叶 → 日志根(RFC 6962)
  credentials/          签名时原样的 W3C 可验证凭证
  controller.json       组织的 did:web 文档,其摘要在日志中

只针对一个字段的证据包只显示与该字段有关的记录,其余记录仅以承诺值列出。
限定用途或时间的证据包(见声明中的 "scope")同样只以承诺值列出范围之外的读取记录。
"""
