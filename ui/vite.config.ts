import { svelte } from '@sveltejs/vite-plugin-svelte';
import tailwindcss from '@tailwindcss/vite';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig(({ mode }) => ({
  plugins: [tailwindcss(), svelte(), ...(mode === 'test' ? [svelteTesting()] : [])],
  clearScreen: false,
  resolve: { alias: { $: new URL('./src', import.meta.url).pathname } },
  server: { port: 1420, strictPort: true },
  build: {
    target: 'safari16.4',
    // The content security policy allows no data: fonts.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    setupFiles: ['src/test.ts'],
  },
}));
