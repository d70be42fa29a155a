/** Imports a package from this folder's node_modules; plain JavaScript, as it stays where it is. */
export const load = (name) => import(name);
