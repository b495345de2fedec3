// First: uPlot must not be imported before the locale is guarded.
import '$/lib/shell/locale';
import '$/design/base.css';

import { mount } from 'svelte';

import App from './App.svelte';
import { useBackend } from './lib/backend';
import { m } from './lib/messages';

/** Whether there is a desktop to talk to. */
async function connect(): Promise<boolean> {
  if ('__TAURI_INTERNALS__' in window) {
    useBackend((await import('./lib/backend/tauri')).tauri);
    return true;
  }
  // The condition is known when the page is built: no build but this mode's holds the fake.
  if (import.meta.env.DEV || import.meta.env.MODE === 'fake') {
    const { fakeFromAddress } = await import('./lib/backend/fake');
    useBackend(fakeFromAddress(new URLSearchParams(location.search)));
    return true;
  }
  return false;
}

const target = document.getElementById('app');
if (target && (await connect())) mount(App, { target });
else if (target) target.textContent = m.app.notHere;
