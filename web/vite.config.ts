import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The built page lies in the package, so that the wheel holds it; `hatch_build.py` runs this.
export default defineConfig({
  plugins: [svelte()],
  build: {
    outDir: "../src/motorcade/dashboard/page",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the page's policy allows no data: scripts or fonts
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 2000,
  },
  worker: { format: "es" },
});
