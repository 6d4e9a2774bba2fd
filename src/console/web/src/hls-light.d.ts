// The build of hls.js without video subtitles and encryption; its types are those of the whole.
declare module "hls.js/light" {
  export { default } from "hls.js";
}
