"""Exports in the shape in which HubSpot and Salesforce write them, with all the nastiness of real ones."""

import csv
import io
import random

CELL = '很长的备注 – long, with "quotes", commas; and\nlines. ' * 220  # beyond 10,000 characters
NAMES = [
    ("伟", "王"), ("محمد", "العلي"), ("Zoë 🦊", "Peña"), ("=cmd|' /C calc'!A0", "O'Rourke"), ("𠮷", "田"), ("Ann", ""),
    ("Łukasz", "Żółć"), ("Ivan", "Петров"),
]  # fmt: skip
HUBSPOT = [
    "Record ID", "First Name", "Last Name", "Email", "Additional email addresses", "Phone Number",
    "Mobile Phone Number", "Street Address", "City", "State/Region", "Postal Code", "Country/Region", "Company Name",
    "Job Title", "Date of birth", "Lifecycle Stage", "Contact owner", "Create Date", "Message", "Kundennummer",
]  # fmt: skip
SALESFORCE = [
    "Salutation", "First Name", "Last Name", "Title", "Account Name", "Department", "Mailing Street", "Mailing City",
    "Mailing State/Province", "Mailing Zip/Postal Code", "Mailing Country", "Phone", "Mobile", "Home Phone", "Email",
    "Birthdate", "Lead Source", "Description", "Customer Number",
]  # fmt: skip


def hubspot(count: int, seed: int = 7) -> str:
    """`count` contacts, every seventh twice (other case, blanks, a further address), one cell of 10,000 characters."""
    rnd = random.Random(seed)  # noqa: S311 - the same each time
    rows = []
    for n in range(count):
        given, family = NAMES[n % len(NAMES)]
        row = [
            str(1000 + n), given, family, f"Person{n}@Example.org", f"p{n}@work.example; P{n}@HOME.example",
            f"+86 138 {n:04d} {rnd.randrange(10**4):04d}", f"(212) 555-{n % 10_000:04d}", f"{n} Main St., Apt \"{n}\"",
            rnd.choice(["上海", "Leeds", "القاهرة"]), "Shanghai", f"2000{n % 90:02d}", "中国", "青石物流, Inc.",
            "Buyer", f"19{50 + n % 50}-0{1 + n % 9}-1{n % 9}", "customer", "Dora", "2024-08-13 18:04",
            CELL if n == 3 else rnd.choice(["", "=SUM(A1:A9)", "@me", "+1", "line one\nline two"]), f"K-{n:05d}",
        ]  # fmt: skip
        rows.append(row)
        if n % 7 == 6:
            rows.append(["", "", "", f"PERSON{n}@example.ORG", f"third{n}@example.net", *[""] * 15])
    return _csv(HUBSPOT, rows, ",")


def salesforce(count: int) -> str:
    """`count` contacts, parted by semicolons."""
    rows = []
    for n in range(count):
        given, family = NAMES[(n + 3) % len(NAMES)]
        rows.append([
            "Ms.", given, family, "CTO", "海棠科技", "R&D", f"{n} 南京路\nSecond line", "München", "Bayern",
            f"8{n:04d}", "Deutschland", f"0049 89 {n:06d}", "", f"089 {n:07d}", f"sf{n}@example.com", "3/14/1985",
            "Web", CELL[:10_000], f"SF-{n}",
        ])  # fmt: skip
    return _csv(SALESFORCE, rows, ";")


def _csv(headings: list[str], rows: list[list[str]], delimiter: str) -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows(rows)
    return file.getvalue()
