var e="appointments:earlier";function r(t){sessionStorage.setItem(e,t)}function n(){return sessionStorage.getItem(e)}export{r as a,n as b};
