import { defineConfig } from "vite";

// Assets are hashed and served by the API; the content security policy allows nothing inline.
export default defineConfig({
  build: { outDir: "dist", assetsInlineLimit: 0, modulePreload: { polyfill: false }, sourcemap: false },
  server: { proxy: { "/api": { target: "http://127.0.0.1:8600", ws: true } } },
});
