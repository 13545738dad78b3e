import{a}from"./chunk.GR7DAQDK.js";import"./chunk.C4RK25LS.js";import"./chunk.3RTIX63C.js";import"./chunk.XBXPOEU4.js";import"./chunk.Y723TI2E.js";import"./chunk.S47QW7L4.js";export{a as initialize};
