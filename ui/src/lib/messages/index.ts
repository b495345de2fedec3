/** Every word the page says. One language so far; another is another file of the same shape. */

export { en as m } from './en';
export { errors } from './errors';
