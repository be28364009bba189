import "./app.css";
import { mount } from "svelte";
import App from "./App.svelte";
import { mapPart } from "./lib/mappart";
import { mark } from "./lib/marks";
import { route } from "./lib/route.svelte";

mark("script");
if (route.section === "live") mapPart().catch(() => undefined); // who shows it says what failed
const target = document.getElementById("app");
if (target === null) throw new Error("index.html has no element #app");
mount(App, { target });
