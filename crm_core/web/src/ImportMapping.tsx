import type { Signal } from "@preact/signals";
import { label } from "../ui/i18n";
import { Icon } from "../ui/icons";
import { Loading, Select, Table } from "../ui/pieces";
import { catalogue } from "./desk";
import { isaid, it } from "./importing";
import { named } from "./words";

const ENCODINGS = [
  "utf-8",
  "utf-16",
  "gb18030",
  "big5",
  "windows-1250",
  "windows-1251",
  "windows-1252",
  "iso-8859-1",
  "shift_jis",
  "euc-jp",
  "euc-kr",
]; // prettier-ignore

/** What the server says of a file's beginning. A cell without a value says only what it looks like. */
export interface Preview {
  readonly format: string;
  readonly encoding: string;
  readonly columns: readonly {
    readonly heading: string;
    readonly field: string | null;
    readonly suggestions: readonly string[];
  }[];
  readonly rows: readonly {
    readonly row: number;
    readonly cells: readonly { readonly value: string | null; readonly looks: string }[];
    readonly fault: string | null;
    readonly column: string | null;
  }[];
}

interface Props {
  readonly preview: Preview | null;
  readonly asked: Signal<Readonly<Record<string, string>>>;
  readonly encoding: Signal<string>;
  readonly failed: boolean;
}

/** Which column is which field, beside the first rows: each line one column of the file. */
export function Mapping({ preview, asked, encoding, failed }: Props) {
  if (!preview && !failed) return <Loading lines={6} />;
  const bad = preview?.rows.filter((one) => one.fault !== null) ?? [];
  return (
    <>
      {preview && (
        <>
          <p class="soft">{it("mapping.more")}</p>
          <Table label={it("mapping")}>
            <thead>
              <tr>
                <th scope="col">{it("mapping.column")}</th>
                <th scope="col">{it("mapping.field")}</th>
                {preview.rows.map((one) => (
                  <th key={one.row} scope="col">
                    {it("mapping.row", { n: one.row })}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {preview.columns.map((one, at) => (
                <tr key={one.heading} class={one.field ? "" : "out"}>
                  <th scope="row">{one.heading}</th>
                  <td class="choice">
                    <Which column={one} asked={asked} />
                  </td>
                  {preview.rows.map((row) => (
                    <td key={row.row} class={row.column === one.heading ? "bad" : ""}>
                      <Sample {...(row.cells[at] ?? { value: "", looks: "empty" })} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </Table>
          {bad.length > 0 && (
            <ul class="faults">
              {bad.map((one) => (
                <li key={one.row}>
                  {it("mapping.fault", { n: one.row, column: one.column ?? "—" })}{" "}
                  {isaid(`reason.${one.fault}`, one.fault ?? "")}
                </li>
              ))}
            </ul>
          )}
        </>
      )}
      <Select
        label={it("encoding")}
        class="small"
        value={encoding.value}
        onChange={(event) => (encoding.value = event.currentTarget.value)}
      >
        <option value="">{it("encoding.auto")}</option>
        {ENCODINGS.map((one) => (
          <option key={one} value={one}>
            {one}
          </option>
        ))}
      </Select>
    </>
  );
}

function Which({ column, asked }: { readonly column: Preview["columns"][number]; readonly asked: Props["asked"] }) {
  const fields = catalogue.value?.fields.filter((one) => one.item === null) ?? [];
  const near = fields.filter((one) => column.suggestions.includes(one.id));
  return (
    <Select
      label={it("mapping.which", { column: column.heading })}
      quietly
      class="small"
      value={column.field ?? ""}
      onChange={(event) => (asked.value = { ...asked.value, [column.heading]: event.currentTarget.value })}
    >
      <option value="">{it("mapping.out")}</option>
      {near.length > 0 && (
        <optgroup label={it("mapping.near")}>
          {near.map((one) => (
            <option key={one.id} value={one.id}>
              {named(one.id)}
            </option>
          ))}
        </optgroup>
      )}
      <optgroup label={it("mapping.all")}>
        {fields
          .filter((one) => !near.includes(one))
          .map((one) => (
            <option key={one.id} value={one.id}>
              {label(one.labels)}
            </option>
          ))}
      </optgroup>
    </Select>
  );
}

function Sample({ value, looks }: { readonly value: string | null; readonly looks: string }) {
  if (value) return <>{value}</>;
  const words = isaid(`looks.${looks}`, looks);
  if (looks === "empty") return <span class="faint">—</span>;
  return (
    <span class="faint masked">
      <Icon name="lock" />
      {words}
    </span>
  );
}
