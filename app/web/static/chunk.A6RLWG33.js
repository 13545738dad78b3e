var t=`query ServerClock($filter: AvailabilityFilter!) {
  availability(filter: $filter) {
    serverTime
  }
}
`;export{t as a};
