// The form: asks this site's server for a delegation, sends what was typed, says in words what came of it.
import { send, visit } from "./fieldgrant.js";

const WORDS = {
  en: { sent: "Thank you. We have your request.", refused: "Not taken: ", failed: "It could not be sent. Please try again." },
  zh: { sent: "谢谢，我们已收到您的请求。", refused: "未被接受：", failed: "发送失败，请重试。" },
};
const say = WORDS[document.documentElement.lang.slice(0, 2)] ?? WORDS.en;
const form = document.querySelector("form");
const told = document.querySelector("output");

async function submit() {
  const me = await visit();
  const answer = await fetch("delegation", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ did: me.did }),
  });
  if (!answer.ok) throw new Error("no delegation");
  const { base, delegation, purpose, ground } = await answer.json();
  const values = {};
  for (const [name, value] of new FormData(form)) if (String(value).trim()) values[name] = String(value);
  return send(me, base, delegation, { purpose, ground, values });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const result = await submit();
    if (result.status === 200) form.reset();
    told.textContent = result.status === 200 ? say.sent : say.refused + Object.keys(result.refused ?? {}).join(", ");
  } catch {
    told.textContent = say.failed;
  } finally {
    button.disabled = false;
  }
});
