/** The files inside a snapshot. */

import type { FileEntry } from '$/lib/bindings/bindings';

import { ago, GIB, KIB, MIB } from './world';

const DAY = 86_400_000;

function folder(path: string, size: number, files: number): FileEntry {
  return entry(path, 'folder', size, files);
}

function entry(path: string, kind: FileEntry['kind'], size: number, files = 1): FileEntry {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return { name, path, kind, size, files, modified: ago((path.length % 40) * DAY) };
}

/** What lies in a folder; undefined when there is no such folder. */
export function filesIn(path: string): FileEntry[] | undefined {
  return (
    TREE[path] ?? (/^files\/wp-content\/uploads\/\d{4}$/.test(path) ? photos(path) : undefined)
  );
}

function photos(path: string): FileEntry[] {
  return Array.from({ length: 4_000 }, (_, i) =>
    entry(`${path}/IMG_${(20_000 + i).toString()}.jpg`, 'file', (80 + ((i * 37) % 900)) * KIB),
  );
}

const CONTENT = 'files/wp-content';

const TREE: Record<string, FileEntry[]> = {
  '': [
    folder('files', 4.1 * GIB, 46_822),
    entry('backup.json', 'file', 3.1 * KIB),
    entry('database.sql', 'file', 131 * MIB),
  ],
  files: [folder(CONTENT, 4.1 * GIB, 46_821), entry('files/wp-config.php', 'file', 3.4 * KIB)],
  [CONTENT]: [
    folder(`${CONTENT}/languages`, 4.8 * MIB, 61),
    folder(`${CONTENT}/plugins`, 204 * MIB, 18_004),
    folder(`${CONTENT}/themes`, 31 * MIB, 812),
    folder(`${CONTENT}/uploads`, 3.8 * GIB, 27_942),
    entry(`${CONTENT}/advanced-cache.php`, 'symlink', 0),
    entry(`${CONTENT}/index.php`, 'file', 28),
    entry(
      `${CONTENT}/a-very-long-name-that-somebody-gave-to-a-file-once-and-never-thought-of-again-until-the-restore.php`,
      'file',
      9 * KIB,
    ),
  ],
  [`${CONTENT}/languages`]: [entry(`${CONTENT}/languages/de_DE.mo`, 'file', 1.2 * MIB)],
  [`${CONTENT}/plugins`]: ['akismet', 'woocommerce', 'wordpress-seo'].map((name, i) =>
    folder(`${CONTENT}/plugins/${name}`, (20 + i * 60) * MIB, 1_200 + i * 5_000),
  ),
  [`${CONTENT}/plugins/akismet`]: [],
  [`${CONTENT}/plugins/woocommerce`]: [
    entry(`${CONTENT}/plugins/woocommerce/woocommerce.php`, 'file', 2 * KIB),
  ],
  [`${CONTENT}/plugins/wordpress-seo`]: [
    entry(`${CONTENT}/plugins/wordpress-seo/wp-seo.php`, 'file', 2 * KIB),
  ],
  [`${CONTENT}/themes`]: [folder(`${CONTENT}/themes/twentytwentythree`, 31 * MIB, 812)],
  [`${CONTENT}/themes/twentytwentythree`]: [
    entry(`${CONTENT}/themes/twentytwentythree/style.css`, 'file', 14 * KIB),
  ],
  [`${CONTENT}/uploads`]: ['2023', '2024', '2025', '2026'].map((year) =>
    folder(`${CONTENT}/uploads/${year}`, 0.95 * GIB, 4_000),
  ),
};
