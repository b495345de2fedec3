export * from './number';
export * from './path';
export * from './speed';
export * from './time';
