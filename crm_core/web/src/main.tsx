import "../ui/tokens.css";
import { render } from "preact";

render(<h1>Fieldgrant</h1>, document.getElementById("app") as HTMLElement);
