/**
 * Makes sure the language the web view reports is one `Intl` accepts. Under `LANG=C` WebKitGTK says
 * "C", and uPlot throws at import. This module must be imported before uPlot is.
 */

/** The first language of `offered` that `Intl` accepts, else English. */
export function usableLanguage(offered: readonly (string | undefined)[]): string {
  for (const language of offered) {
    try {
      if (language) return Intl.getCanonicalLocales(language)[0] ?? 'en';
    } catch {
      // Not a language tag: the next.
    }
  }
  return 'en';
}

const language = usableLanguage([navigator.language, ...navigator.languages]);
if (navigator.language !== language) {
  Object.defineProperty(navigator, 'language', { value: language, configurable: true });
  Object.defineProperty(navigator, 'languages', { value: [language], configurable: true });
}
