import { defineConfig } from "vite";

// Assets are hashed and served by the API; the content security policy allows nothing inline. The mode `en-XA` builds a page that also
// has the catalogue in disguise of the tests.
export default defineConfig(({ mode }) => ({
  build: {
    outDir: "dist",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    rolldownOptions: { input: ["index.html", "push.html"] },
  },
  resolve: {
    alias: mode === "en-XA" ? [{ find: /^\.\/languages$/, replacement: "/test/languages.ts" }] : [],
  },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8600", ws: true } } },
}));
