#!/usr/bin/env python3
# ruff: noqa: E501, SIM905 - lists of names read best as running text, and Chinese marks count double
"""Write the sample that ships with Fieldgrant: 500 invented customers as a HubSpot contact export.

Nobody in it exists: names are drawn at random, mail domains are reserved (RFC 2606), North American numbers are from
the block 555-0100 to 555-0199 that is kept for fiction, Chinese ones start with 100, which no subscriber has. The seed
is fixed, so that every run writes the same bytes. Standard library only.

    python3 tools/make_sample.py [FILE]
"""

import csv
import random
import sys
from datetime import datetime, timedelta
from pathlib import Path

SEED = 20261122
CUSTOMERS = 500
HEADINGS = [
    "Record ID", "First Name", "Last Name", "Email", "Phone Number", "Mobile Phone Number", "Gender", "City",
    "State/Region", "Country/Region", "Company Name", "Job Title", "Lifecycle Stage", "Lead Status",
    "Marketing contact status", "Contact owner", "Create Date", "Last Activity Date", "Message",
]  # fmt: skip
ENGLISH_GIVEN = (
    "Ada Amelia Arthur Beatrice Callum Carys Clara Daniel Dylan Edith Eleanor Ewan Fiona Florence George Grace Harriet "
    "Hugo Imogen Iris Jack Jasper Katherine Leo Lydia Mabel Marcus Nathaniel Nina Oliver Oscar Penelope Phoebe Quentin "
    "Rosalind Rupert Seren Silas Tabitha Theo Una Victor Winifred Zachary Siân José Zoë François"
).split()
ENGLISH_FAMILY = (
    "Abernathy Ashdown Blackwood Bramley Carrington Cole Dunmore Ellison Fairbairn Fenwick Garside Hargreaves Hollis "
    "Ingram Jephson Kendrick Lockhart Marlowe Nightingale Osgood Pemberton Quill Ravenscroft Selwyn Thackeray "
    "Underhill Vane Whitlock Yardley O'Rourke Smith-Jones Peña"
).split()
CHINESE_FAMILY = "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗 梁 宋 郑 谢 韩 唐 冯 于 董 萧 欧阳 司马 上官 诸葛".split()
CHINESE_GIVEN = (
    "伟 芳 娜 秀英 敏 静 丽 强 磊 军 洋 勇 艳 杰 娟 涛 明 超 秀兰 霞 平 刚 桂英 子涵 梓萱 浩然 宇轩 欣怡 诗涵 思远 雨桐 俊杰 "
    "若曦 晨曦 嘉懿 煜城 懿轩 烨伟 文博 昊天 语嫣 婧琪 雪丽 晓彤"
).split()
PINYIN = (
    "wang li zhang liu chen yang zhao huang zhou wu xu sun hu zhu gao lin he guo ma luo liang song zheng xie han tang feng "
    "yu dong xiao ouyang sima shangguan zhuge"
).split()
ENGLISH_CITIES = [
    ("Bristol", "England", "United Kingdom"), ("Leeds", "England", "United Kingdom"), ("Cardiff", "Wales", "United Kingdom"),
    ("Glasgow", "Scotland", "United Kingdom"), ("Portland", "Oregon", "United States"),
    ("Austin", "Texas", "United States"), ("Toronto", "Ontario", "Canada"), ("Dublin", "", "Ireland"),
    ("Singapore", "", "Singapore"), ("Zürich", "Zürich", "Switzerland"),
]  # fmt: skip
CHINESE_CITIES = [
    ("北京", "北京", "中国"), ("上海", "上海", "中国"), ("广州", "广东", "中国"), ("深圳", "广东", "中国"), ("杭州", "浙江", "中国"),
    ("成都", "四川", "中国"), ("南京", "江苏", "中国"), ("西安", "陕西", "中国"), ("重庆", "重庆", "中国"), ("厦门", "福建", "中国"),
]  # fmt: skip
ENGLISH_COMPANIES = (
    "Harbour & Finch Ltd|Copperline Robotics|Juniper Vale Foods|Northgate Optics|Pale Blue Logistics|Tallow Street Books|"
    "Wren Analytics|Meridian Tile, Inc."
).split("|")
CHINESE_COMPANIES = "云岭茶业有限公司|海棠科技（深圳）有限公司|青石物流|北辰光学|南山书店|竹影设计工作室".split("|")
ENGLISH_TITLES = [
    "Buyer",
    "Head of Operations",
    "Finance Manager",
    "Software Engineer",
    "Office Manager",
    "Director",
    "Owner",
]
CHINESE_TITLES = ["采购经理", "运营总监", "财务主管", "软件工程师", "行政经理", "总经理", "店主"]
NOTES = [
    "",
    "",
    "",
    "Prefers to be called in the morning",
    "Met at the trade fair, wants a quote",
    "请下午联系",
    "对新产品感兴趣",
    "线下活动认识",
]
DOMAINS = ["example.com", "example.net", "example.org"]

Row = dict[str, str]


def english(dice: random.Random, number: int) -> Row:
    """A customer with an English name. `number` keeps addresses apart."""
    given, family = dice.choice(ENGLISH_GIVEN), dice.choice(ENGLISH_FAMILY)
    plain = "".join(mark for mark in f"{given}.{family}".lower() if mark.isascii() and (mark.isalnum() or mark in ".-"))
    city, state, country = dice.choice(ENGLISH_CITIES)
    return {
        "First Name": given,
        "Last Name": family,
        "Email": f"{plain}{number}@{dice.choice(DOMAINS)}",
        "Phone Number": fictional_number(dice),
        "Mobile Phone Number": fictional_number(dice),
        "Gender": dice.choice(["female", "male", "nonbinary"]),
        "City": city,
        "State/Region": state,
        "Country/Region": country,
        "Company Name": dice.choice(ENGLISH_COMPANIES),
        "Job Title": dice.choice(ENGLISH_TITLES),
    }


def chinese(dice: random.Random, number: int) -> Row:
    """A customer with a Chinese name."""
    place = dice.randrange(len(CHINESE_FAMILY))
    city, state, country = dice.choice(CHINESE_CITIES)
    return {
        "First Name": dice.choice(CHINESE_GIVEN),
        "Last Name": CHINESE_FAMILY[place],
        "Email": f"{PINYIN[place]}{number}@{dice.choice(DOMAINS)}",
        "Phone Number": "",
        "Mobile Phone Number": f"+86 100 {dice.randrange(10000):04d} {dice.randrange(10000):04d}",
        "Gender": dice.choice(["女", "男"]),
        "City": city,
        "State/Region": state,
        "Country/Region": country,
        "Company Name": dice.choice(CHINESE_COMPANIES),
        "Job Title": dice.choice(CHINESE_TITLES),
    }


def fictional_number(dice: random.Random) -> str:
    """A North American number of the block that is reserved for fiction, in one of the spellings people use."""
    area, last = dice.choice(["212", "303", "415", "503", "617"]), 100 + dice.randrange(100)
    return dice.choice(
        [f"({area}) 555-0{last}", f"+1 {area}-555-0{last}", f"{area}.555.0{last}", f"{area}5550{last} x{last}"]
    )


def common(dice: random.Random, row: Row, number: int) -> Row:
    """The columns that every customer has, and blanks as real exports have them."""
    created = datetime(2024, 1, 8) + timedelta(minutes=dice.randrange(1_200_000))
    seen = created + timedelta(minutes=dice.randrange(200_000))
    row |= {
        "Record ID": str(70_000_000_000 + number * 37),
        "Lifecycle Stage": dice.choice(["lead", "opportunity", "customer", "customer", "evangelist"]),
        "Lead Status": dice.choice(["", "NEW", "OPEN", "CONNECTED"]),
        "Marketing contact status": dice.choice(["Marketing contact", "Non-marketing contact"]),
        "Contact owner": dice.choice(["", "Sam Field", "Lin Yue"]),
        "Create Date": f"{created:%Y-%m-%d %H:%M}",
        "Last Activity Date": f"{seen:%Y-%m-%d %H:%M}",
        "Message": dice.choice(NOTES),
    }
    for heading, chance in (
        ("City", 0.06),
        ("Job Title", 0.15),
        ("Company Name", 0.1),
        ("Gender", 0.2),
        ("Phone Number", 0.2),
    ):
        if dice.random() < chance:
            row[heading] = ""
    return row


def duplicate(dice: random.Random, row: Row) -> Row:
    """The same customer entered again: the address in other letters, other fields filled, some not."""
    again = dict(row)
    local, _, domain = row["Email"].partition("@")
    again["Email"] = dice.choice(
        [f"{local.upper()}@{domain}", f" {local.title()}@{domain.upper()}", f"{local}@{domain.title()} "]
    )
    again["Record ID"] = str(int(row["Record ID"]) + 5)
    for heading in ("Phone Number", "City", "Message"):
        again[heading] = ""
    again["Job Title"] = row["Job Title"] or "Partner"
    again["Company Name"] = row["Company Name"] or "Harbour & Finch Ltd"
    return again


def bad_rows(dice: random.Random) -> list[list[str]]:
    """Rows that an importer has to refuse: broken addresses, nobody at all, cells too many and too few."""
    rows = []
    for number, address in enumerate(["not-an-address", "two@@example.com", "spaces in@example.com", "名字@"]):
        rows.append(cells(common(dice, english(dice, 900 + number) | {"Email": address}, 900 + number)))
    for number in (910, 911):
        nobody = common(dice, chinese(dice, number) | {"First Name": "", "Last Name": " ", "Email": ""}, number)
        rows.append(cells(nobody))
    whole = cells(common(dice, english(dice, 920), 920))
    return [*rows, [*whole, "stray cell"], whole[:11]]


def cells(row: Row) -> list[str]:
    """A row in the order of the headings."""
    return [row[heading] for heading in HEADINGS]


def sample() -> list[list[str]]:
    """All rows, headings first."""
    dice = random.Random(SEED)  # noqa: S311 - invented people, the same at every run
    people = []
    for number in range(1, CUSTOMERS + 1):
        make = chinese if dice.random() < 0.5 else english
        people.append(common(dice, make(dice, number), number))
    for row in dice.sample(people, 12):  # some have no address at all
        row["Email"] = ""
    twice = dice.sample([row for row in people if row["Email"]], 24)
    rows = [cells(row) for row in people]
    for extra in [*(cells(duplicate(dice, row)) for row in twice), *bad_rows(dice)]:
        rows.insert(dice.randrange(len(rows) + 1), extra)
    return [HEADINGS, *rows]


def main() -> None:
    """Write the file."""
    default = Path(__file__).resolve().parent.parent / "crm_core" / "sample" / "contacts.csv"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\r\n").writerows(sample())


if __name__ == "__main__":
    main()
