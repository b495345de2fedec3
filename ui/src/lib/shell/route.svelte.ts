/** Which view is shown. Kept in the address's hash, so that back, forward and reload work. */

export type NodeTab = 'sources' | 'jobs' | 'details';

export type Route =
  | { view: 'overview' }
  | { view: 'nodes' }
  | { view: 'node'; id: string; tab: NodeTab }
  | { view: 'snapshots'; source?: string; snapshot?: string }
  | { view: 'storage' };

const TABS: readonly string[] = ['sources', 'jobs', 'details'];

/** The view a hash names; what it does not know is the overview. */
export function parseRoute(hash: string): Route {
  const [view, first, second] = hash
    .replace(/^#?\/?/, '')
    .split('/')
    .map(decodeURIComponent);
  switch (view) {
    case 'nodes':
      if (!first) return { view: 'nodes' };
      return { view: 'node', id: first, tab: isTab(second) ? second : 'sources' };
    case 'snapshots':
      return {
        view: 'snapshots',
        ...(first ? { source: first } : {}),
        ...(second ? { snapshot: second } : {}),
      };
    case 'storage':
      return { view: 'storage' };
    default:
      return { view: 'overview' };
  }
}

/** The hash that names a view. */
export function href(route: Route): string {
  const parts: (string | undefined)[] =
    route.view === 'node'
      ? ['nodes', route.id, route.tab]
      : route.view === 'snapshots'
        ? ['snapshots', route.source, route.source && route.snapshot]
        : [route.view];
  const named = parts.filter((part): part is string => Boolean(part));
  return `#/${named.map(encodeURIComponent).join('/')}`;
}

function isTab(text: string | undefined): text is NodeTab {
  return text !== undefined && TABS.includes(text);
}

class Router {
  #route = $state.raw<Route>(parseRoute(location.hash));

  get route(): Route {
    return this.#route;
  }

  go(route: Route): void {
    location.hash = href(route);
    this.#route = route;
  }

  /** Changes the address without a step in the history: a selection within a view. */
  replace(route: Route): void {
    history.replaceState(null, '', href(route));
    this.#route = route;
  }

  start(): () => void {
    const follow = () => (this.#route = parseRoute(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }
}

export const router = new Router();
